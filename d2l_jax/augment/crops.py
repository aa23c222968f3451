"""The crop of random area and aspect ratio (Szegedy et al. 2015), under torchvision's name."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from d2l_jax.augment.geometry import Crop, Size, resized_crop
from d2l_jax.augment.pixels import Images
from d2l_jax.augment.transform import Sizes, Transform, all_of, between, check, uniform

TRIES = 10


class CropNumbers(NamedTuple):
    """The numbers behind random crops: ten tries at a size, and one place.

    areas, ratios: uniform in [0, 1), float32
    places:        of top and left, 32 random bits each
    """

    areas: Float[Array, "batch tries"]
    ratios: Float[Array, "batch tries"]
    places: UInt32[Array, "batch 2"]


@dataclass(frozen=True)
class RandomResizedCrop(Transform):
    """Cuts out a rectangle of random area and aspect ratio and resizes it (book, sections 14.1 and 14.2).

    to:    height and width of the result, in pixels
    scale: the least and the largest area, as a share of the image's
    ratio: the least and the largest width / height; its logarithm is drawn uniformly
    """

    to: Size
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    margins = True

    def __post_init__(self):
        check(min(self.to) >= 1, self, "a height and a width of 1 or more")
        check(0 < self.scale[0] <= self.scale[1], self, "a scale (least, largest) above 0")
        check(0 < self.ratio[0] <= self.ratio[1], self, "a ratio (least, largest) above 0")

    def draw(self, key: PRNGKeyArray, sizes: Sizes) -> Crop:
        """Draws a rectangle in each image."""
        bits = jax.random.bits(key, (len(sizes), 2 * TRIES + 2), jnp.uint32)
        areas, ratios = (uniform(bits[:, first : 2 * TRIES : 2]) for first in range(2))
        return self.crop(CropNumbers(areas, ratios, bits[:, 2 * TRIES :]), sizes)

    def crop(self, drawn: CropNumbers, sizes: Sizes) -> Crop:
        """Returns the rectangles: of ten tries the first that fits into the image, else one in its middle.

        Sides are rounded in JAX's default precision, where torchvision has Python's: in float32 a side comes out a
        pixel longer or shorter where it is within rounding of a half.
        """
        height, width = (sizes[:, axis : axis + 1] for axis in range(2))
        area = (height * width).astype(float) * between(drawn.areas, *self.scale).astype(float)
        ratio = jnp.exp(between(drawn.ratios, *(math.log(each) for each in self.ratio))).astype(float)
        heights = jnp.round(jnp.sqrt(area / ratio)).astype(jnp.int32)
        widths = jnp.round(jnp.sqrt(area * ratio)).astype(jnp.int32)

        fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
        some = fits.any(1)
        first = fits.argmax(1)[:, None]
        sides = [
            jnp.where(some, jnp.take_along_axis(tried, first, 1)[:, 0], middle)
            for tried, middle in zip((heights, widths), self._middle(sizes))
        ]
        room = sizes - jnp.stack(sides, 1)
        corner = (drawn.places % (room + 1).astype(jnp.uint32)).astype(jnp.int32)
        top, left = jnp.where(some[:, None], corner, room // 2).T
        return Crop(top, left, *sides)

    def _middle(self, sizes: Sizes) -> tuple[Int[Array, " batch"], Int[Array, " batch"]]:
        """Returns (heights, widths) of the largest rectangles whose ratio is allowed."""
        height, width = sizes.astype(float).T
        least, largest = self.ratio
        shorter = jnp.where(width / height < least, jnp.round(width / least), height)
        narrower = jnp.where(width / height > largest, jnp.round(height * largest), width)
        return shorter.astype(jnp.int32), narrower.astype(jnp.int32)

    def apply(self, images: Images, draws: Crop) -> Images:
        """Cuts and resizes."""
        return resized_crop(images, draws, self.to)

    def sizes(self, sizes: Sizes) -> Sizes:
        """Returns `to` for every image."""
        return all_of(self.to, len(sizes))
