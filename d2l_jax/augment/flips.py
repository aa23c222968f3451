"""Random flips, under torchvision's names."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from d2l_jax.augment.geometry import horizontal_flip, vertical_flip
from d2l_jax.augment.pixels import Images
from d2l_jax.augment.transform import Sizes, Transform, check, uniform


@dataclass(frozen=True)
class _RandomFlip(Transform):
    p: float = 0.5

    def __post_init__(self):
        check(0 <= self.p <= 1, self, "a probability p from 0 to 1")

    def draw(self, key: PRNGKeyArray, sizes: Sizes) -> Bool[Array, " batch"]:
        """Draws for each image whether it is flipped."""
        return uniform(jax.random.bits(key, (len(sizes),), jnp.uint32)) < self.p


class RandomHorizontalFlip(_RandomFlip):
    """Turns left and right around with probability p (book, section 14.1)."""

    def apply(self, images: Images, draws: Bool[Array, " batch"]) -> Images:
        """Flips the images that are drawn."""
        return horizontal_flip(images, draws)


class RandomVerticalFlip(_RandomFlip):
    """Turns top and bottom around with probability p (book, section 14.1)."""

    def apply(self, images: Images, draws: Bool[Array, " batch"]) -> Images:
        """Flips the images that are drawn."""
        return vertical_flip(images, draws)
