"""Where data may lie on this machine, in the order to look."""

import os
from pathlib import Path
from typing import NamedTuple

from d2l_jax.errors import InputError

SYSTEM = Path("/usr/share/datasets")  # Debian's package dataset-fashion-mnist


class Place(NamedTuple):
    """A folder to look into.

    Attributes:
      folder: the folder; it exists.
      named: the user named it, so that a fault in it is an error and no reason to look further.
    """

    folder: Path
    named: bool


def download_folder() -> Path:
    """The folder into which this project downloads data; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "d2l_jax"


def usual_caches() -> list[Path]:
    """The folders where other tools store data sets, and last the `download_folder`; they need not exist."""
    home = Path.home()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    theirs = [Path("data"), home / "data", cache, cache / "torchvision", home / "tensorflow_datasets"]
    return [*theirs, SYSTEM, download_folder()]


def places(source: Path | str | None) -> list[Place]:
    """The folders to look into: `source` alone unless it is None, else `D2L_DATA` and the usual caches.

    Raises:
      InputError: `source` or `D2L_DATA` is no folder.
    """
    if source is not None:
        return [Place(_folder(source, "the data folder"), named=True)]
    variable = os.environ.get("D2L_DATA")
    from_variable = [Place(_folder(variable, "D2L_DATA"), named=True)] if variable else []
    return from_variable + [Place(folder, named=False) for folder in usual_caches() if folder.is_dir()]


def _folder(path: Path | str, what: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.exists():
        raise InputError(f"{what} {folder} does not exist; give a folder that holds the data")
    if not folder.is_dir():
        raise InputError(f"{what} {folder} is a file; give the folder that holds it")
    return folder
