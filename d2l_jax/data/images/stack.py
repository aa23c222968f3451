"""Pictures of several sizes in one array: as they are, within a margin; or their middle, in one size."""

from collections.abc import Sequence

import numpy as np

Size = tuple[int, int]


def within_margin(pictures: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Puts every picture at the top left of an array that holds the largest.

    Returns:
      X uint8 (N, height, width, 3) and sizes int32 (N, 2); sizes None where all pictures have one.
    """
    sizes = np.array([picture.shape[:2] for picture in pictures], np.int32)
    largest = sizes.max(0)
    if (sizes == largest).all():
        return np.stack(pictures), None
    X = np.zeros((len(pictures), *largest, 3), np.uint8)
    for place, picture in zip(X, pictures, strict=True):
        place[: picture.shape[0], : picture.shape[1]] = picture
    return X, sizes


def middle(picture: np.ndarray, to: Size | int, size: Size) -> np.ndarray:
    """Resizes a picture as the book tests it, and cuts (height, width) out of the middle (sections 14.2 and 14.14).

    Args:
      picture: uint8 (height, width, 3).
      to: (height, width), or the length of the shorter side.
      size: of the result, not larger.

    Returns:
      uint8 (*size, 3), by Pillow's bilinear filter.
    """
    from PIL import Image

    height, width = picture.shape[:2]
    if isinstance(to, int):
        short = min(height, width)
        to = (to * height // short, to * width // short)
    resized = np.asarray(Image.fromarray(picture).resize((to[1], to[0]), Image.Resampling.BILINEAR))
    top, left = (round((whole - part) / 2) for whole, part in zip(to, size))
    return resized[top : top + size[0], left : left + size[1]]
