"""A change of a batch of images in two parts: random numbers, and a pure function of them; and several in a row."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from d2l_jax.augment.geometry import Size
from d2l_jax.augment.pixels import Images
from d2l_jax.errors import InputError

Sizes = Int[Array, "batch 2"]  # height and width of each image


class Transform:
    """A change of a batch of images: `draw` gives the random numbers, `apply` is a pure function of them.

    Called with a key, it does both: `transform(key, images)`.
    """

    margins = False  # whether images may have a margin

    def draw(self, key: PRNGKeyArray, sizes: Sizes) -> Any:
        """Draws what `apply` takes for images of these sizes; None where nothing is random."""
        return None

    def apply(self, images: Images, draws: Any) -> Images:
        """Returns the changed images."""
        raise NotImplementedError

    def sizes(self, sizes: Sizes) -> Sizes:
        """Returns the sizes of the changed images."""
        return sizes

    def __call__(self, key: PRNGKeyArray, images: Images, sizes: Sizes | None = None) -> Images:
        """Draws and applies.

        sizes: (height, width) of images that stand at the top left of a larger array; None where they fill it.
               Only a crop can take such images
        """
        if sizes is None:
            sizes = all_of((images.shape[1], images.shape[2]), len(images))
        elif not self.margins:
            raise InputError(f"images of several sizes for {self}; a RandomResizedCrop before it is right")
        return self.apply(images, self.draw(key, sizes))


@dataclass(frozen=True, init=False)
class Compose(Transform):
    """Several changes, the first first (`torchvision.transforms.v2.Compose`)."""

    transforms: tuple[Transform, ...]

    def __init__(self, *transforms: Transform):
        if not transforms:
            raise InputError("Compose without a change; at least one is right")
        object.__setattr__(self, "transforms", transforms)

    @property
    def margins(self) -> bool:  # type: ignore[override]
        """Tells whether images may have a margin, which the first change has to cut off."""
        return self.transforms[0].margins

    def draw(self, key: PRNGKeyArray, sizes: Sizes) -> tuple[Any, ...]:
        """Draws for each change, from a key of its own."""
        draws = []
        for its_key, transform in zip(jax.random.split(key, len(self.transforms)), self.transforms):
            draws.append(transform.draw(its_key, sizes))
            sizes = transform.sizes(sizes)
        return tuple(draws)

    def apply(self, images: Images, draws: tuple[Any, ...]) -> Images:
        """Applies each with its draws."""
        for transform, its_draws in zip(self.transforms, draws, strict=True):
            images = transform.apply(images, its_draws)
        return images

    def sizes(self, sizes: Sizes) -> Sizes:
        """Returns the sizes behind the last change."""
        for transform in self.transforms:
            sizes = transform.sizes(sizes)
        return sizes


def all_of(size: Size, count: int) -> Sizes:
    """Returns one size for each of `count` images."""
    return jnp.asarray(np.full((count, 2), size, np.int32))


def uniform(bits: UInt32[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns uniform numbers of [0, 1) in float32, of 24 bits each, as PyTorch makes them."""
    return (bits & jnp.uint32(2**24 - 1)).astype(jnp.float32) / 2**24


def between(share: Float[Array, "*shape"], least: float, largest: float) -> Float[Array, "*shape"]:
    """Returns uniform numbers of [0, 1) in [least, largest), in float32."""
    low = jnp.float32(least)
    return share * (jnp.float32(largest) - low) + low


def check(right: bool, transform: Transform, words: str) -> None:
    """Raises InputError where a transform was made with other numbers than the words say."""
    if not right:
        raise InputError(f"{transform} where {words} is right")
