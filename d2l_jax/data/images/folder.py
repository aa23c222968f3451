"""Reading the image set that a folder holds, whichever of the usual layouts it has."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.find.download import fetch
from d2l_jax.data.find.places import download_folder
from d2l_jax.data.find.tfds_folder import find_prepared, read_tfds
from d2l_jax.data.images.idx import idx_files, read_split
from d2l_jax.data.images.image_sets import FILES, IMAGE_SETS, identify
from d2l_jax.errors import InputError


def read_images(folder: Path, name: str | None, *, itself: bool = True) -> Dataset | None:
    """Reads the image set in a folder; None where there is none.

    Args:
      folder: holds idx files, or torchvision's `raw` folder of them, or a prepared tfds folder; or a
        folder called after the set (`fashion-mnist`, `FashionMNIST` ...) that holds one of these.
      name: the set to look for; None takes any, and names an unknown one after its folder.
      itself: False looks only into the folders called after the set.

    Returns:
      X uint8 (N, H, W, C), y int32 (N,).

    Raises:
      InputError: the data is there but damaged or incomplete.
    """
    for spot, set_name in _spots(folder, name, itself):
        data = _read_idx_set(spot, set_name) or _read_prepared(spot, set_name)
        if data is not None:
            return data
    return None


def nothing_in(folder: Path, name: str | None) -> InputError:
    """The error for a folder in which `read_images` finds nothing."""
    files = idx_files(folder)
    actual = identify(folder, files) if files else None
    if actual:
        return InputError(f"{folder} holds {actual}, not {name}; name the right folder or leave out the name")
    return InputError(
        f"{folder} holds no {name or 'images'}; four idx files (train-images-idx3-ubyte.gz ...), "
        f"a prepared tfds folder{'' if name else ', or pictures as train/CLASS/*.jpg and test/CLASS/*.jpg'} are needed"
    )


def fetch_images(name: str) -> Path:
    """Downloads one of `IMAGE_SETS` into `download_folder()` and returns the folder.

    Raises:
      InputError: it could not be fetched or written.
    """
    known = IMAGE_SETS[name]
    folder = download_folder() / name
    for file, sha256 in zip(FILES, known.sha256, strict=True):
        fetch(file, known.mirrors, sha256, folder)
    return folder


def _spots(folder: Path, name: str | None, itself: bool) -> Iterator[tuple[Path, str | None]]:
    if itself:
        yield from ((folder, name), (folder / "raw", name))
    for set_name in [name] if name else IMAGE_SETS:
        for variant in IMAGE_SETS[set_name].folders:
            yield from ((folder / variant, set_name), (folder / variant / "raw", set_name))


def _read_idx_set(folder: Path, name: str | None) -> Dataset | None:
    """The idx files of a folder; None where there are none or they are known to be another set."""
    files = idx_files(folder)
    actual = identify(folder, files) if files else None
    if not files or (name and actual and actual != name):
        return None
    called = actual or name or (folder.parent if folder.name == "raw" else folder.absolute()).name
    train = read_split(files, "train")
    test = read_split(files, "test")
    if train[0].shape[1:] != test[0].shape[1:]:
        raise InputError(
            f"{folder} holds training images of {train[0].shape[1:3]} but test images of {test[0].shape[1:3]}"
        )
    return Dataset(called, train, test, f"idx files in {folder}", _classes(called, folder, train[1], test[1]))


def _classes(name: str, folder: Path, *labels: np.ndarray) -> tuple[str, ...]:
    highest = max(int(y.max()) for y in labels)
    if name not in IMAGE_SETS:
        return tuple(str(i) for i in range(highest + 1))
    classes = IMAGE_SETS[name].classes
    if highest >= len(classes):
        raise InputError(f"{folder} holds a label {highest}; {name} has the labels 0 to {len(classes) - 1}")
    return classes


def _read_prepared(folder: Path, name: str | None) -> Dataset | None:
    version_folder = find_prepared(folder, name)
    return read_tfds(version_folder) if version_folder else None
