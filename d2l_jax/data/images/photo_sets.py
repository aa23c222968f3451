"""The photographs of sections 14.2, 14.13 and 14.14: hot dogs, a small CIFAR-10 and dogs, and any set in their form."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.files import Files, files_in, read_picture
from d2l_jax.data.find.download import BOOK_MIRRORS, fetch
from d2l_jax.data.find.places import download_folder
from d2l_jax.data.images.cifar import read_cifar10
from d2l_jax.data.images.labelled import Labelled, Split, by_csv, by_folder, class_names
from d2l_jax.data.images.stack import Size, middle, within_margin
from d2l_jax.errors import InputError

TESTED: Size = (224, 224)


class PhotoSet(NamedTuple):
    """A set of photographs of the book.

    Attributes:
      stems: how its folder's or its zip's name may start.
      zip: the book's file; "" where the book downloads it otherwise.
      sha1: of that file.
      to: what test pictures are resized to before their middle is cut out.
    """

    stems: tuple[str, ...]
    zip: str
    sha1: str
    to: Size | int = (256, 256)


PHOTO_SETS = {
    "cifar10": PhotoSet((), "", ""),
    "cifar10_tiny": PhotoSet(
        ("kaggle_cifar10_tiny", "cifar10-tiny", "cifar-10"),
        "kaggle_cifar10_tiny.zip",
        "2068874e4b9a9f0fb07ebe0ad2b29754449ccacd",
    ),
    "hotdog": PhotoSet(("hotdog",), "hotdog.zip", "fba480ffa8aa7e0febbb511d181409f899b9baa5"),
    "dogs": PhotoSet(
        ("kaggle_dog_tiny", "dog-breed-identification", "dogs"),
        "kaggle_dog_tiny.zip",
        "0cb91d09b814ecdc07b50f31f8dcad3e81d6a86d",
        256,
    ),
}


def read_photos(folder: Path, name: str) -> Dataset | None:
    """Reads a set of `PHOTO_SETS` from a folder that holds its folder or its zip; None where there is none.

    Returns:
      X uint8 (N, H, W, 3), y int32 (N,). Pictures of one size stay as they are. Of others, those to train on stand in
      a margin, with their sizes in `sizes`; those to test on are cut to the middle 224x224 of the resized picture.

    Raises:
      InputError: the data is there but damaged or incomplete.
    """
    if name == "cifar10":
        return read_cifar10(folder)
    for spot in _spots(folder, PHOTO_SETS[name].stems):
        data = read_labelled(spot, name, PHOTO_SETS[name].to)
        if data is not None:
            return data
    return None


def read_labelled(path: Path, name: str, to: Size | int = (256, 256)) -> Dataset | None:
    """Reads the pictures with classes in a folder or a zip; None where there are none. See `read_photos`."""
    files = files_in(path)
    split = by_csv(files) or by_folder(files)
    return None if split is None else _dataset(files, split, name, to)


def no_photos(folder: Path, name: str) -> InputError:
    """The error for a folder in which `read_photos` finds nothing."""
    stems = " or ".join(PHOTO_SETS[name].stems) or "cifar-10-batches-bin or cifar-10-batches-py"
    return InputError(f"{folder} holds no {name}; a folder (or a zip) called {stems} is needed")


def fetch_photos(name: str) -> Path:
    """Downloads the book's zip into `download_folder()` and returns the folder; InputError where that fails."""
    known = PHOTO_SETS[name]
    if not known.zip:
        raise InputError(f"{name} is not in the book's storage; put cifar-10-batches-bin into a folder and name that")
    folder = download_folder() / name
    fetch(known.zip, BOOK_MIRRORS, known.sha1, folder)
    return folder


def _spots(folder: Path, stems: tuple[str, ...]) -> Iterator[Path]:
    """Lists folders and zips with such a name: in a folder, in folders of such a name within it, and itself."""
    places = [folder, *(path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.startswith(stems))]
    for place in places:
        inside = sorted(path for path in place.iterdir() if path.name.startswith(stems))
        yield from (path for path in inside if path.is_dir() or path.suffix == ".zip")
    if folder.name.startswith(stems):
        yield folder


def _dataset(files: Files, split: Split, name: str, to: Size | int) -> Dataset:
    classes = class_names([*split.train, *split.test])
    train, test = ([read_picture(files, each) for each, _ in part] for part in split)
    X, sizes = within_margin(train)
    if sizes is None and all(picture.shape == X.shape[1:] for picture in test):
        held_out = np.stack(test)
    else:
        sizes = np.full((len(X), 2), X.shape[1:3], np.int32) if sizes is None else sizes
        held_out = np.stack([middle(picture, to, TESTED) for picture in test])
    y, y_test = (_numbers(part, classes) for part in split)
    return Dataset(name, (X, y), (held_out, y_test), f"pictures in {files.where}", classes, sizes=sizes)


def _numbers(labelled: Labelled, classes: tuple[str, ...]) -> np.ndarray:
    number = {label: place for place, label in enumerate(classes)}
    return np.array([number[label] for _, label in labelled], np.int32)
