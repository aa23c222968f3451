"""The Penn Treebank as lists of words, where it lies on this machine (book, section 15.3)."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from d2l_jax.data.files import decoded
from d2l_jax.data.find.download import BOOK_MIRRORS, fetch
from d2l_jax.data.find.places import download_folder
from d2l_jax.data.text.archives import archives_in, contents
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
    """Reads `ptb.train.txt` and `ptb.valid.txt` in a folder, its `ptb` folder, `ptb.zip` or `ptb.tar.gz`; else None.

    Raises:
      InputError: an archive is damaged or names a file outside of it, a text is not UTF-8, has no word or is missing.
    """
    for spot in (folder, folder / FOLDER):
        if (spot / TRAIN).is_file():
            return _texts(spot)
        for path in archives_in(spot, f"{FOLDER}."):
            return _texts(path)
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


def _texts(place: Path) -> Texts:
    found = contents(place, partial(_is_text, place.is_dir()))
    texts = {Path(name).name: (content, f"{place}: {name}") for name, content in reversed(found)}
    for file in (TRAIN, VALID):
        if file not in texts:
            raise InputError(f"{place} lacks {file}; the texts to train and to test on are needed")
    train, test = (split_lines(decoded(*texts[file]), texts[file][1]) for file in (TRAIN, VALID))
    return Texts(train, test, f"{TRAIN} and {VALID} in {place}")


def _is_text(itself: bool, name: str) -> bool:
    """Tells whether a file is one of the two; `itself` where it has to lie in the folder, not below it."""
    return (name if itself else Path(name).name) in (TRAIN, VALID) and "__MACOSX" not in name
