"""The Penn Treebank as lists of words, where it lies on this machine (book, section 15.3)."""

from pathlib import Path
from typing import NamedTuple

from d2l_jax.data.files import Files, files_in
from d2l_jax.data.find.download import BOOK_MIRRORS, fetch
from d2l_jax.data.find.places import download_folder
from d2l_jax.data.text.archives import decoded
from d2l_jax.errors import InputError

FOLDER = "ptb"
ZIP = "ptb.zip"
SHA1 = "319d85e578af0cdc590547f26231e4e31cdf1e42"
TRAIN = "ptb.train.txt"
VALID = "ptb.valid.txt"

Sentences = list[list[str]]


class Texts(NamedTuple):
    """Sentences to train and to test on, each a list of words, and where they are from."""

    train: Sentences
    test: Sentences
    source: str


def read_ptb(folder: Path) -> Texts | None:
    """Reads `ptb.train.txt` and `ptb.valid.txt`, in a folder, its folder `ptb` or its `ptb.zip`; None without them.

    Raises:
      InputError: the zip is damaged or names a file outside of it, a text is not UTF-8, has no word or is missing.
    """
    for spot in (folder, folder / FOLDER):
        if (spot / TRAIN).is_file():
            files = Files(spot, tuple(each for each in (TRAIN, VALID) if (spot / each).is_file()), _reader(spot))
            return _texts(files)
        if (spot / ZIP).is_file():
            return _texts(files_in(spot / ZIP))
    return None


def fetch_ptb() -> Path:
    """Downloads the book's zip into `download_folder()` and returns the folder; InputError where that fails."""
    return fetch(ZIP, BOOK_MIRRORS, SHA1, download_folder()).parent


def no_ptb(folder: Path) -> InputError:
    """Returns the error for a folder in which `read_ptb` finds nothing."""
    return InputError(f"{folder} holds no Penn Treebank; {ZIP}, or {TRAIN} beside {VALID}, is right")


def split_lines(text: str, where: str) -> Sentences:
    """Splits a text into lines, and each of them at white space.

    Raises:
      InputError: no line holds a word.
    """
    sentences = [line.split() for line in text.split("\n")]
    if not any(sentences):
        raise InputError(f"{where} holds no sentence; a line of words for each is right")
    return sentences


def _reader(spot: Path):
    return lambda name: (spot / name).read_bytes()


def _texts(files: Files) -> Texts:
    return Texts(_sentences(files, TRAIN), _sentences(files, VALID), f"{TRAIN} and {VALID} in {files.where}")


def _sentences(files: Files, file: str) -> Sentences:
    name = next((name for name in files.names if name == file or name.endswith(f"/{file}")), None)
    if name is None:
        raise InputError(f"{files.where} lacks {file}; the texts to train and to test on are needed")
    where = f"{files.where}: {name}"
    return split_lines(decoded(files.read(name), where), where)
