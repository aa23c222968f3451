"""CamVid (Brostow et al. 2009): streets from a car, in the eleven classes and the layout of SegNet's authors."""

from pathlib import Path, PurePosixPath

import numpy as np

from d2l_jax.data.files import Files, files_in, read_picture
from d2l_jax.data.images.palette import IGNORED
from d2l_jax.data.images.segmentation import Pair, Segmented, pair_of
from d2l_jax.errors import InputError

COLORS = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (0, 0, 192),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
VOID = len(COLORS)
SPLITS = ("train", "val")
SPOTS = ("", "camvid", "CamVid")


def read_camvid(folder: Path) -> Segmented | None:
    """Reads the first zip archive in `folder`, or in its `camvid`, whose name begins so; None where there is none.

    The archive holds `train`, `trainannot`, `val` and `valannot`; masks hold the number of a class, or 11 for what
    is none, which becomes the label 255 and does not count.

    Raises:
      InputError: the archive or a picture in it is damaged, an image has no mask or one of another size, or a mask
        holds a number above 11.
    """
    for spot in SPOTS:
        paths = sorted((folder / spot).glob("[cC]am[vV]id*.zip"))
        if paths:
            return _read(paths[0])
    return None


def no_camvid(folder: Path) -> InputError:
    """The error for a folder in which `read_camvid` finds nothing."""
    return InputError(f"{folder} holds no CamVid; a camvid*.zip with train, trainannot, val and valannot is needed")


def _read(path: Path) -> Segmented:
    files = files_in(path)
    train, test = (_pairs(files, split) for split in SPLITS)
    palette = np.array(list(COLORS.values()), np.uint8)
    return Segmented("camvid", train, test, f"{path.name} in {path.parent}", tuple(COLORS), palette)


def _pairs(files: Files, split: str) -> list[Pair]:
    members = list(map(PurePosixPath, files.names))
    images = [member for member in members if member.parent.name == split]
    masks = {member.stem: member for member in members if member.parent.name == f"{split}annot"}
    if not images:
        raise InputError(f"{files.where} has no folder {split} with images; {split} and {split}annot are needed")
    missing = [image.name for image in images if image.stem not in masks]
    if missing:
        raise InputError(f"{files.where} has no mask for {missing[0]}; one of that name in {split}annot is needed")
    return [_pair(files, image, masks[image.stem]) for image in images]


def _pair(files: Files, image: PurePosixPath, mask: PurePosixPath) -> Pair:
    labels = read_picture(files, str(mask), mode="")
    if labels.ndim != 2 or labels.max() > VOID:
        raise InputError(f"{mask} of {files.where} holds other numbers than the classes 0 to {VOID}")
    labels = np.where(labels == VOID, IGNORED, labels).astype(np.uint8)
    return pair_of(read_picture(files, str(image)), labels, f"{image} of {files.where}")
