"""Clicks: the book's advertisements, and films of MovieLens-100K that a user rates with 4 or 5 (section 21.8)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.data.files import decoded
from d2l_jax.data.find.download import BOOK_MIRRORS, fetch
from d2l_jax.data.find.places import download_folder
from d2l_jax.data.ratings.drawn import EACH, drawn_ratings
from d2l_jax.data.ratings.fields import Columns, learn_fields
from d2l_jax.data.ratings.ml100k import ITEMS, USERS, find_files, ratings_of
from d2l_jax.data.ratings.ratings import Ratings, drawn_mask
from d2l_jax.data.text.archives import contents, lines_of
from d2l_jax.errors import InputError

CLICKS = "clicks"  # the kind
ZIP = "ctr.zip"
SHA1 = "e18327c48c8e8e5c23da714dd614e390d369843f"
PARTS = ("train.csv", "test.csv")
LIKED = 4  # a rating that counts as a click
GENRES = 19


class Table(NamedTuple):
    """Examples of clicks.

    labels:  1 for a click, float32 (rows,)
    columns: a field each, of text
    """

    labels: np.ndarray
    columns: Columns

    def at(self, rows: np.ndarray) -> "Table":
        """Returns some of the rows, by a mask."""
        return Table(self.labels[rows], [column[rows] for column in self.columns])


def click_set(train: Table, test: Table, names: list[str], name: str, source: str) -> Dataset:
    """Returns the fields as numbers; they are learned from what is trained on.

    Returns:
      X int32 (N, fields), y float32 (N, 1); `rows` says how many numbers each field has.
    """
    fields = learn_fields(train.columns, names)
    splits: list[Split] = [(fields.encode(each.columns), each.labels[:, None]) for each in (train, test)]
    return Dataset(name, splits[0], splits[1], source, form=CLICKS, rows=fields.counts)


def parse_clicks(lines: list[str], where: str, separator: str = "\t", label: int = 0) -> Table:
    """Returns the examples of lines: a label of 0 or 1, and the fields.

    label: the place of the label among the cells

    Raises:
      InputError: there is no line, a line has more or fewer cells than the first, or its label is neither 0 nor 1; the
        message names the line.
    """
    rows = [line.split(separator) for line in lines]
    if not rows:
        raise InputError(f"{where} holds no example; lines of a label and fields are right")
    for number, cells in enumerate(rows, 1):
        if len(cells) != len(rows[0]) or len(cells) < 2:
            right = f"{max(len(rows[0]), 2)}, with {separator!r} between, are right"
            raise InputError(f"{where}, line {number} has {len(cells)} cells; {right}")
        if cells[label] not in ("0", "1"):
            raise InputError(f"{where}, line {number} has the label {cells[label]!r}; 0 or 1 is right")
    columns = [np.array(column) for column in zip(*rows)]
    labels = columns.pop(label).astype(np.float32)
    return Table(labels, columns)


def read_ctr(folder: Path) -> Dataset | None:
    """Reads `train.csv` and `test.csv` of a folder `ctr` or of its `ctr.zip`; None without them.

    Raises:
      InputError: as `parse_clicks`; the two differ in their fields, or one is missing.
    """
    spots = [spot for spot in (folder, folder / "ctr") if (spot / PARTS[0]).is_file() and spot.name == "ctr"]
    spots += [spot for spot in (folder / ZIP, folder / "ctr" / ZIP) if spot.is_file()]
    if not spots:
        return None
    found = {name.rpartition("/")[2]: text for name, text in contents(spots[0], lambda name: name.endswith(PARTS))}
    if missing := [name for name in PARTS if name not in found]:
        raise InputError(f"{spots[0]} lacks {missing[0]}; fetch it again")
    wheres = [f"{spots[0]}, {name}" for name in PARTS]
    train, test = (parse_clicks(lines_of(decoded(found[n], w)), w) for n, w in zip(PARTS, wheres))
    if len(test.columns) != len(train.columns):
        raise InputError(
            f"{wheres[1]} has {len(test.columns)} fields; {len(train.columns)}, as in {PARTS[0]}, are right"
        )
    names = [f"field {number}" for number in range(1, len(train.columns) + 1)]
    return click_set(train, test, names, "ctr", f"ctr in {spots[0]}")


def no_ctr(folder: Path) -> InputError:
    """Returns the error for a folder in which `read_ctr` finds nothing."""
    return InputError(f"{folder} holds no clicks; {ZIP}, or a folder ctr with {' and '.join(PARTS)}, is right")


def fetch_ctr() -> Path:
    """Downloads the book's zip into `download_folder()` and returns the folder; InputError where that fails."""
    return fetch(ZIP, BOOK_MIRRORS, SHA1, download_folder()).parent


def read_film_clicks(folder: Path) -> Dataset | None:
    """Makes clicks of the ratings of MovieLens-100K: 26 fields, one rating in ten to test on; None without the files.

    Raises:
      InputError: as `read_ratings`, or `u.user` or `u.item` is missing or has a line that is none.
    """
    files = find_files(folder)
    if files is None:
        return None
    for name in (USERS, ITEMS):
        if name not in files:
            raise InputError(f"{files.source} lacks {name}, the fields of clicks; fetch it again")
    ratings = ratings_of(files)
    users = _cells(files[USERS], 5, f"{files.source}, {USERS}")
    items = _cells(files[ITEMS], 5 + GENRES, f"{files.source}, {ITEMS}")
    if wrong := [n for n, age in enumerate(users[:, 1], 1) if not age.isdecimal()]:
        age = str(users[wrong[0] - 1, 1])
        raise InputError(f"{files.source}, {USERS}, line {wrong[0]} has the age {age!r}; a whole number is right")
    of_user = [users[:, 2], _decades(users[:, 1]), users[:, 3], _starts(users[:, 4])]
    years = np.array([date[-4:] for date in items[:, 2]])
    columns = [*(column[ratings.users] for column in of_user), *(c[ratings.items] for c in (years, *items[:, 5:].T))]
    names = ["user", "item", "gender", "age", "occupation", "zip", "year", *(f"genre {i}" for i in range(GENRES))]
    return _of_ratings(ratings, columns, names, "ml100k_clicks")


def drawn_clicks(seed: int = 0) -> Dataset:
    """Draws clicks of `drawn_ratings`: user, item, and the quarter of a user's ratings, whose first it likes most."""
    ratings = drawn_ratings(seed)
    quarters = (4 * ratings.times // EACH).astype(str)
    return _of_ratings(ratings, [quarters], ["user", "item", "quarter"], "drawn_clicks")


def _of_ratings(ratings: Ratings, more: Columns, names: list[str], name: str) -> Dataset:
    columns = [ratings.users.astype(str), ratings.items.astype(str), *more]
    table = Table((ratings.values >= LIKED).astype(np.float32), columns)
    train = drawn_mask(len(ratings.users))
    if train.all() or not train.any():
        raise InputError(f"{ratings.source}: {len(train)} ratings leave none to train or to test on; more are right")
    return click_set(table.at(train), table.at(~train), names, name, ratings.source)


def _cells(lines: list[str], count: int, where: str) -> np.ndarray:
    rows = [line.split("|") for line in lines]
    if not rows:
        raise InputError(f"{where} is empty; lines of {count} cells, with | between, are right")
    for number, row in enumerate(rows, 1):
        if len(row) != count:
            raise InputError(f"{where}, line {number} has {len(row)} cells; {count}, with | between, are right")
        if row[0] != str(number):
            raise InputError(f"{where}, line {number} has the number {row[0]!r}; {number} is right, in order")
    return np.array(rows)


def _decades(ages: np.ndarray) -> np.ndarray:
    return (ages.astype(int) // 10).astype(str)


def _starts(texts: np.ndarray) -> np.ndarray:
    return texts.astype("U1")
