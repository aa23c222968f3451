"""Classes of pixels as colours, and colours as classes (book, section 14.9)."""

from collections.abc import Mapping

import numpy as np

from d2l_jax.errors import InputError

IGNORED = 255  # label of a pixel that does not count
NO_CLASS = 254  # in a lookup, the label of a colour that may not appear
Color = tuple[int, int, int]
VOC_BORDER: Color = (224, 224, 192)


def voc_palette(classes: int = 21) -> np.ndarray:
    """Returns Pascal VOC's colour of each class, uint8 (classes, 3).

    The bits of a class's number go to red, green and blue in turn, each from its highest bit downwards.
    """
    numbers = np.arange(classes)
    colors = np.zeros((classes, 3), np.uint8)
    for bit in range(24):
        colors[:, bit % 3] |= ((numbers >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    return colors


def color_lookup(palette: np.ndarray, unknown: int = 0, others: Mapping[Color, int] | None = None) -> np.ndarray:
    """Returns the class of each of the 256^3 colours, uint8; colour (r, g, b) stands at (256 r + g) 256 + b.

    Args:
      palette: the colour of each class, (classes, 3).
      unknown: class of all other colours; the book's is 0, the background.
      others: labels of colours beside the palette, as `IGNORED` for borders that do not count.
    """
    lookup = np.full(256**3, unknown, np.uint8)
    lookup[_place(np.asarray(palette))] = np.arange(len(palette))
    for color, label in (others or {}).items():
        lookup[_place(np.array(color))] = label
    return lookup


def class_indices(mask: np.ndarray, lookup: np.ndarray, where: str = "the mask") -> np.ndarray:
    """Returns the class of each pixel of a coloured mask uint8 (H, W, 3), as uint8 (H, W).

    Raises:
      InputError: a colour's class is `NO_CLASS`.
    """
    labels = lookup[_place(mask)]
    wrong = labels == NO_CLASS
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        color = tuple(int(c) for c in mask[row, column])
        raise InputError(
            f"{where} has the colour {color} at row {row}, column {column}, which is no class's; "
            f"{int(wrong.sum())} of its {wrong.size} pixels are in no palette"
        )
    return labels


def colored(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Returns the palette's colour of each label, uint8 (..., 3); labels without one are white."""
    whole = np.full((256, 3), 255, np.uint8)
    whole[: len(palette)] = palette
    return whole[np.clip(labels, 0, 255)]


def _place(colors: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(colors.astype(np.int64), -1, 0)
    return (red * 256 + green) * 256 + blue
