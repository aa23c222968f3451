"""The segmentation part of Pascal VOC 2012, as its development kit has it (book, section 14.9)."""

from pathlib import Path

import numpy as np

from d2l_jax.data.files import Files, decoded, files_in, read_picture
from d2l_jax.data.images.palette import IGNORED, NO_CLASS, VOC_BORDER, class_indices, color_lookup, voc_palette
from d2l_jax.data.images.segmentation import Pair, Segmented, pair_of
from d2l_jax.errors import InputError

CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv/monitor"),
)
SPLITS = ("train", "val")
SPOTS = ("", "VOC2012", "VOCdevkit/VOC2012", "voc/VOCdevkit/VOC2012")


def read_voc(folder: Path, corrected: bool = False) -> Segmented | None:
    """Reads the images that `ImageSets/Segmentation` lists; None where the folder holds no such list.

    Args:
      folder: `VOC2012`, or a folder that holds it as `VOCdevkit/VOC2012`, or with `voc` before that.
      corrected: False makes the borders of objects background, as the book does; True gives them the label 255, which
        does not count.

    Raises:
      InputError: a list names a picture that is missing or damaged, a mask has another size than its image, or a
        colour is in no palette. (The book makes such a colour background; the true files have none.)
    """
    for spot in SPOTS:
        if (folder / spot / "ImageSets" / "Segmentation").is_dir():
            return _read(folder / spot, corrected)
    return None


def no_voc(folder: Path) -> InputError:
    """The error for a folder in which `read_voc` finds nothing."""
    return InputError(f"{folder} holds no Pascal VOC; VOCdevkit/VOC2012 with ImageSets/Segmentation is needed")


def _read(folder: Path, corrected: bool) -> Segmented:
    palette = voc_palette()
    lookup = color_lookup(palette, NO_CLASS, {VOC_BORDER: IGNORED if corrected else 0})
    files = files_in(folder)
    train, test = ([_pair(files, name, lookup) for name in _names(folder, split)] for split in SPLITS)
    name = "voc2012_corrected" if corrected else "voc2012"
    return Segmented(name, train, test, f"{folder}", CLASSES, palette)


def _names(folder: Path, split: str) -> list[str]:
    path = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
    try:
        names = decoded(path.read_bytes(), str(path)).split()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if not names:
        raise InputError(f"{path} names no image")
    return names


def _pair(files: Files, name: str, lookup: np.ndarray) -> Pair:
    image = read_picture(files, f"JPEGImages/{name}.jpg")
    mask = f"SegmentationClass/{name}.png"
    return pair_of(image, class_indices(read_picture(files, mask), lookup, f"{files.where / mask}"), name)
