"""The two text files of the book where they lie on this machine: The Time Machine and English-French pairs."""

import hashlib
import zipfile
from pathlib import Path
from typing import NamedTuple

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.find.download import BOOK_MIRRORS, fetch
from d2l_jax.data.find.places import download_folder
from d2l_jax.data.text.corpus import text_data
from d2l_jax.data.text.translation import read_pairs, translation_data
from d2l_jax.errors import InputError

FOLDER = "text"
PAIRS = 641


class BookText(NamedTuple):
    """A file of the book.

    Attributes:
      file: the file's name.
      sha256: hash of the file's content, in hex.
      member: the text's path where the file is a zip archive; else empty.
    """

    file: str
    sha256: str
    member: str = ""


BOOK_TEXTS = {
    "time_machine": BookText("timemachine.txt", "8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516"),
    "fra_eng": BookText(
        "fra-eng.zip", "fa96382b2c8b609e1662654c1e6e6baeb8d30b3bf63dfb4a5a261cc36347df13", "fra-eng/fra.txt"
    ),
}


def read_raw(folder: Path, name: str) -> str | None:
    """Reads the text of one of `BOOK_TEXTS` in `folder` or its `text` folder; None where it is in neither.

    Raises:
      InputError: the file is not the book's: damaged, or another version.
    """
    path = _path(folder, name)
    return None if path is None else _content(path, BOOK_TEXTS[name])


def read_book_text(folder: Path, name: str) -> Dataset | None:
    """Reads one of `BOOK_TEXTS` as a data set with the book's numbers of windows or pairs; None as `read_raw`.

    Raises:
      InputError: as `read_raw`.
    """
    path = _path(folder, name)
    if path is None:
        return None
    text = _content(path, BOOK_TEXTS[name])
    source = f"{path.name} in {path.parent}"
    if name == "time_machine":
        return text_data(text, name=name, source=source)
    return translation_data(read_pairs(text, PAIRS), name=name, source=source)


def fetch_book_text(name: str) -> Path:
    """Downloads one of `BOOK_TEXTS` into `download_folder()` and returns the folder; InputError where that fails."""
    folder = download_folder() / FOLDER
    fetch(BOOK_TEXTS[name].file, BOOK_MIRRORS, BOOK_TEXTS[name].sha256, folder)
    return folder


def no_book_text(folder: Path, name: str) -> InputError:
    """The error for a folder in which `read_raw` finds nothing."""
    return InputError(f"{folder} holds no {name}; {BOOK_TEXTS[name].file} is needed")


def _path(folder: Path, name: str) -> Path | None:
    paths = [spot / BOOK_TEXTS[name].file for spot in (folder, folder / FOLDER)]
    return next((path for path in paths if path.is_file()), None)


def _content(path: Path, known: BookText) -> str:
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != known.sha256:
        raise InputError(f"{path} is damaged or not the book's: its sha256 is {actual} instead of {known.sha256}")
    if not known.member:
        return path.read_text(encoding="utf-8")
    with zipfile.ZipFile(path) as archive:
        return archive.read(known.member).decode("utf-8")
