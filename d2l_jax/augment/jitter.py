"""Random changes of colour, under torchvision's name."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from d2l_jax.augment.colour import jitter
from d2l_jax.augment.pixels import Images
from d2l_jax.augment.transform import Sizes, Transform, between, check, uniform
from d2l_jax.errors import InputError


class Jitter(NamedTuple):
    """Changes of colour of each image.

    order:   a permutation of 0 to 3: brightness, contrast, saturation, hue
    factors: by these names, of the changes that are made
    """

    order: Int[Array, "batch 4"]
    factors: dict[str, Float[Array, " batch"]]


@dataclass(frozen=True)
class ColorJitter(Transform):
    """Changes brightness, contrast, saturation and hue in random order (book, section 14.1).

    brightness, contrast, saturation: x for a factor from max(0, 1 - x) to 1 + x; 0 leaves it as it is
    hue:                              x for a turn from -x to x, at most 1/2
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self):
        check(min(self.brightness, self.contrast, self.saturation, self.hue) >= 0, self, "a strength of 0 or more")
        check(self.hue <= 0.5, self, "a hue of at most 1/2")

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Returns the least and the largest factor of each change that is made."""
        strengths = {"brightness": self.brightness, "contrast": self.contrast, "saturation": self.saturation}
        ranges = {name: (max(0.0, 1 - x), 1 + x) for name, x in strengths.items() if x}
        return ranges | ({"hue": (-self.hue, self.hue)} if self.hue else {})

    def draw(self, key: PRNGKeyArray, sizes: Sizes) -> Jitter:
        """Draws an order and the factors for each image."""
        bits = jax.random.bits(key, (len(sizes), 8), jnp.uint32)
        order = jnp.argsort(bits[:, 4:], 1).astype(jnp.int32)
        ranges = enumerate(self.ranges().items())
        return Jitter(order, {name: between(uniform(bits[:, i]), *limits) for i, (name, limits) in ranges})

    def apply(self, images: Images, draws: Jitter) -> Images:
        """Changes the colours of images with one or three channels; InputError for any other number."""
        if images.shape[-1] not in (1, 3):
            raise InputError(f"images have {images.shape[-1]} channels; 1 or 3 are right for a change of colours")
        return jitter(images, draws.order, draws.factors)
