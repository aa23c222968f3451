"""Film reviews and their sentiment: IMDb (section 16.1 of the book)."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.files import decoded
from d2l_jax.data.text.archives import contents, is_archive
from d2l_jax.data.text.translation import PAD
from d2l_jax.data.text.vocab import Vocab
from d2l_jax.errors import InputError

IMDB = ("imdb", "imdb_corrected")
STEM = "aclImdb"
CLASSES = ("negative", "positive")
FILE = re.compile(rf"(?:{STEM}/)?(train|test)/(neg|pos)/[^/]+\.txt")
KIND = "reviews"


class Review(NamedTuple):
    """A text with its sentiment: 1 positive, 0 negative."""

    text: str
    label: int


def review_tokens(text: str, corrected: bool = False) -> list[str]:
    """Splits a review at whitespace, case kept as the book does; `corrected` puts it in lower case, as GloVe has it.

    Line ends are left out, not split at, as in the book.
    """
    plain = text.replace("\n", "")
    return (plain.lower() if corrected else plain).split()


def fixed_length(rows: Sequence[Sequence[int]], steps: int, padding: int) -> np.ndarray:
    """Returns rows of ids cut or padded at their end to `steps`: int32 (N, steps).

    Raises:
      InputError: `steps` is below 1.
    """
    if steps < 1:
        raise InputError(f"sequences of {steps} steps are empty; give 1 or more")
    ids = np.full((len(rows), steps), padding, np.int32)
    for line, row in zip(ids, rows):
        line[: len(row)] = row[:steps]
    return ids


def review_data(
    train: Sequence[Review],
    test: Sequence[Review],
    steps: int = 500,
    min_freq: int = 5,
    *,
    corrected: bool = False,
    name: str = "imdb",
    source: str = "the given reviews",
) -> Dataset:
    """Encodes reviews with the vocabulary of those to train on, cut or padded to `steps` tokens.

    Args:
      train: reviews to train on.
      test: reviews to test on.
      steps: tokens in a review.
      min_freq: rarer tokens become `<unk>`.
      corrected: words in lower case, and a `<pad>` of its own; the book keeps the case and pads with `<unk>`.
      name: name of the result.
      source: where the reviews are from, for the log.

    Returns:
      X int32 (N, steps), y int32 (N,), 1 where a review is positive; the vocabulary.

    Raises:
      InputError: there is no review to train or to test on, or `steps` is below 1.
    """
    if not train or not test:
        raise InputError(f"{source}: {len(train)} reviews to train and {len(test)} to test on; give 1 or more of each")
    tokens, tokens_test = ([review_tokens(each.text, corrected) for each in part] for part in (train, test))
    vocab = Vocab(tokens, min_freq, (PAD,) if corrected else ())
    X, X_test = (fixed_length([vocab[row] for row in part], steps, vocab[PAD]) for part in (tokens, tokens_test))
    y, y_test = (np.array([each.label for each in part], np.int32) for part in (train, test))
    return Dataset(name, (X, y), (X_test, y_test), source, CLASSES, vocabs=(vocab,), form=KIND)


def read_reviews(path: Path) -> tuple[list[Review], list[Review]]:
    """Reads the reviews to train and to test on from an `aclImdb` folder or archive: positive ones first, by name.

    Raises:
      InputError: an archive is damaged or climbs, or a review is not in UTF-8.
    """
    splits: dict[str, list[Review]] = {"train": [], "test": []}
    files = contents(path, lambda name: FILE.fullmatch(name.removeprefix("./")) is not None)
    for name, content in files:
        split, label = FILE.fullmatch(name.removeprefix("./")).groups()  # type: ignore[union-attr]
        splits[split].append(Review(decoded(content, f"{name} in {path}"), int(label == "pos")))
    train, test = (sorted(part, key=lambda each: -each.label) for part in splits.values())
    return train, test


def read_imdb(folder: Path, name: str = "imdb") -> Dataset | None:
    """Reads `aclImdb`, a folder or an archive, from a folder or its `imdb` folder; None where there is none.

    "imdb_corrected" is in lower case and has a `<pad>`.

    Raises:
      InputError: as `read_reviews`, or there are no reviews in it.
    """
    for path in _spots(folder):
        train, test = read_reviews(path)
        source = f"{path.name} in {path.parent}"
        return review_data(train, test, corrected=name == "imdb_corrected", name=name, source=source)
    return None


def no_imdb(folder: Path) -> InputError:
    """The error for a folder in which `read_imdb` finds nothing."""
    return InputError(f"{folder} holds no {STEM}; the folder of that name, or an archive of it, is needed")


def fetch_imdb() -> Path:
    """Raises InputError: the archive is not fetched by this program."""
    raise InputError(f"IMDb is not fetched by this program; put {STEM}_v1.tar.gz into a folder, and name that")


def _spots(folder: Path) -> list[Path]:
    """Lists folders of reviews before archives of them."""
    near = [each for each in (folder, folder / "imdb") if each.is_dir()]
    inside = [path for place in near for path in sorted(place.glob(f"{STEM}*"))]
    whole = [path for path in (*inside, *near) if (path / "train" / "pos").is_dir()]
    return [*whole, *(path for path in inside if is_archive(path))]
