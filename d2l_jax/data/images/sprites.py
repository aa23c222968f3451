"""Small pictures on white, for an adversarial network to draw others like them (book, section 20.2)."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_jax.data.files import Files, files_in, read_picture
from d2l_jax.data.images.digits import digits
from d2l_jax.data.images.resize import resize_images
from d2l_jax.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")
SIZE = (64, 64)
FOLDERS = ("pokemon", "emoji")  # of D2L_DATA


class Sprites(NamedTuple):
    """Pictures uint8 (number, 64, 64, 3) with the numbers of their classes, which folders are; `source` in words."""

    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    source: str


def sprites(folder: Path | str | None = None) -> Sprites:
    """Reads the pictures below a folder or in the zip of one; of None, those of D2L_DATA, else scikit-learn's digits.

    A transparent background becomes white; every picture becomes 64x64. The book's are 40,597 of Pokemon, which are
    not free; Noto's emoji take their place where D2L_DATA has them.

    Raises:
      InputError: a folder that was asked for has no picture, or one is damaged.
    """
    if folder is not None:
        if not Path(folder).exists():
            raise InputError(f"{folder} is no folder; one with pictures, or with a zip of them, is right")
        found = _read(Path(folder))
        if found is None:
            raise InputError(f"{folder} holds no pictures; .png or .jpg files, or one zip of them, are right")
        return found
    variable = os.environ.get("D2L_DATA")
    for name in FOLDERS if variable else ():
        spot = Path(str(variable)) / name
        if spot.is_dir() and (found := _read(spot)):
            return found
    data = digits()
    X = np.repeat(resize_images(np.concatenate([data.train[0], data.test[0]]), SIZE), 3, axis=-1)
    return Sprites(X, np.concatenate([data.train[1], data.test[1]]), data.classes, "scikit-learn's digits at 64x64")


def _read(path: Path) -> Sprites | None:
    """Reads a folder, the first zip in it, or a zip; None where there is no picture."""
    archives = [path] if path.is_file() else sorted(path.glob("*.zip"))
    for files in map(files_in, [*([path] if path.is_dir() else []), *archives]):
        names = [name for name in files.names if name.lower().endswith(SUFFIXES)]
        if names:
            folders = [name.rpartition("/")[0] for name in names]
            classes = tuple(sorted(set(folders)))
            X = np.stack([_on_white(files, name) for name in names])
            labels = np.array([classes.index(each) for each in folders], np.int32)
            return Sprites(X, labels, tuple(each.rpartition("/")[2] for each in classes), f"pictures of {files.where}")
    return None


def _on_white(files: Files, name: str) -> np.ndarray:
    from PIL import Image

    layers = Image.fromarray(read_picture(files, name, "RGBA"))
    white = Image.new("RGBA", layers.size, "white")
    flat = Image.alpha_composite(white, layers).convert("RGB")
    return np.asarray(flat.resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR))
