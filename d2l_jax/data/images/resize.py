"""Enlarging and shrinking images bit for bit as torchvision's `Resize` does on PIL images."""

from dataclasses import replace

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.errors import InputError


def resize_images(X: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes every image with Pillow's bilinear filter, which smooths where it shrinks.

    Pillow is called once per image and channel. Longer calls over the lines of many images are no
    faster from 96x96 on (60,000 images: 3.8 s either way), and not the same: which axis Pillow 13
    treats first, and so rounds to uint8 first, depends on the four lengths.

    Args:
      X: uint8 (N, H, W, C).
      size: (height, width) of the result, in pixels.

    Returns:
      uint8 (N, height, width, C); X itself where the size is already right.

    Raises:
      InputError: `size` is not two positive integers, or X is not uint8 with four axes.
    """
    from PIL import Image

    height, width = _checked(X, size)
    if X.shape[1:3] == (height, width):
        return X
    out = np.empty((len(X), height, width, X.shape[-1]), np.uint8)
    for i, channel in np.ndindex(len(X), X.shape[-1]):
        image = Image.fromarray(np.ascontiguousarray(X[i, :, :, channel]))
        out[i, :, :, channel] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return out


def _checked(X: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not pair or any(not isinstance(s, (int, np.integer)) or s < 1 for s in size):
        raise InputError(f"cannot resize images to {size}; give (height, width) in pixels, e.g. (96, 96)")
    if X.dtype != np.uint8 or X.ndim != 4:
        raise InputError(f"cannot resize {X.dtype} {X.shape}; images are uint8 (N, H, W, C)")
    return int(size[0]), int(size[1])


def resized(data: Dataset, size: tuple[int, int]) -> Dataset:
    """Returns a data set whose images have another size (height, width).

    Training images of several sizes stay as they are: a random crop makes them alike.

    Raises:
      InputError: the data holds no images.
    """
    if data.kind not in ("image", "boxes"):
        raise InputError(f"{data.name} holds no images to resize; leave out the size")
    redraw = data.redraw
    return replace(
        data,
        train=data.train if data.sizes is not None else _split(data.train, size),
        test=_split(data.test, size),
        redraw=None if redraw is None else lambda epoch: _split(redraw(epoch), size),
    )


def _split(split: Split, size: tuple[int, int]) -> Split:
    """The images in another size, of the dtype that they have; numbers are whole, from 0 to 255."""
    X, y = split
    return resize_images(X.astype(np.uint8), size).astype(X.dtype), y
