"""Changes in which nothing is random, under torchvision's names."""

from dataclasses import dataclass

import jax.numpy as jnp

from d2l_jax.augment.geometry import Size, center_crop, resize
from d2l_jax.augment.pixels import Floats, Images, is_bytes, numbers
from d2l_jax.augment.transform import Sizes, Transform, all_of, check
from d2l_jax.errors import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Resize(Transform):
    """Resizes to (height, width), or to a length of the shorter side (book, section 14.2)."""

    to: Size | int

    def apply(self, images: Images, draws: None) -> Images:
        """Resizes."""
        return resize(images, self.to)

    def sizes(self, sizes: Sizes) -> Sizes:
        """Returns the new sizes."""
        if not isinstance(self.to, int):
            return all_of(self.to, len(sizes))
        return sizes * self.to // sizes.min(1, keepdims=True)


@dataclass(frozen=True)
class CenterCrop(Transform):
    """Cuts (height, width) out of the middle (book, section 14.2)."""

    to: Size

    def apply(self, images: Images, draws: None) -> Images:
        """Cuts."""
        return center_crop(images, self.to)

    def sizes(self, sizes: Sizes) -> Sizes:
        """Returns `to` for every image."""
        return all_of(self.to, len(sizes))


@dataclass(frozen=True)
class ToFloat(Transform):
    """Makes numbers from 0 to 1 of bytes, as `torchvision.transforms.ToTensor` does; other images stay.

    Divides by 255; `v2.ToDtype(torch.float32, scale=True)` multiplies by 1/255, which may differ in the last place.
    """

    def apply(self, images: Images, draws: None) -> Floats:
        """Scales."""
        return numbers(images) / 255 if is_bytes(images) else images


@dataclass(frozen=True)
class Normalize(Transform):
    """Subtracts a mean and divides by a standard deviation, of each channel (book, section 14.2)."""

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self):
        check(len(self.mean) == len(self.std) and min(self.std) > 0, self, "as many deviations as means, above 0")

    def apply(self, images: Images, draws: None) -> Floats:
        """Normalises; InputError for bytes, as in torchvision, and for another number of channels."""
        if is_bytes(images):
            raise InputError("bytes cannot be normalised; ToFloat() before Normalize is right")
        if images.shape[-1] != len(self.mean):
            raise InputError(f"images have {images.shape[-1]} channels; {self} is for {len(self.mean)}")
        mean, std = (jnp.asarray(each, images.dtype)[None, None, None] for each in (self.mean, self.std))
        return (images - mean) / std
