"""MovieLens-100K, from a folder `ml-100k` or the zip of it (Harper and Konstan 2015; book, section 21.2)."""

from pathlib import Path

import numpy as np

from d2l_jax.data.files import decoded
from d2l_jax.data.find.download import fetch
from d2l_jax.data.find.places import download_folder
from d2l_jax.data.ratings.ratings import SCALE, Ratings
from d2l_jax.data.text.archives import contents, lines_of
from d2l_jax.errors import InputError

FOLDER = "ml-100k"
ZIP = "ml-100k.zip"
DATA, ITEMS, USERS = "u.data", "u.item", "u.user"
UNTOLD = 1_000_000  # rows of a table that no file tells; larger numbers have gaps, as those of accounts
MIRRORS = ("https://files.grouplens.org/datasets/movielens/",)
SHA1 = "cd4dcac4241c8a4ad7badc7ca635da8a69dddb83"  # of the zip, as the book gives it


class Files(dict[str, list[str]]):
    """The lines of the files by name, of those that are there, and where they are from as `source`."""

    source: str = ""


def find_files(folder: Path) -> Files | None:
    """Reads `u.data`, `u.item` and `u.user` in a folder, its folder `ml-100k` or its `ml-100k.zip`; None without them.

    Raises:
      InputError: the zip is damaged or names a file outside of it, or a file is in no known encoding.
    """
    spots = [spot for spot in (folder, folder / FOLDER) if (spot / DATA).is_file()]
    spots += [zipped for zipped in (folder / ZIP, folder / FOLDER / ZIP) if zipped.is_file()]
    if not spots:
        return None
    spot = spots[0]
    wanted = (DATA, ITEMS, USERS)
    if spot.is_dir():
        found = [(name, (spot / name).read_bytes()) for name in wanted if (spot / name).is_file()]
    else:
        found = contents(spot, lambda name: name.rpartition("/")[2] in wanted)
    files = Files()
    for name, content in found:
        bare = name.rpartition("/")[2]
        text = content.decode("latin-1") if bare == ITEMS else decoded(content, f"{spot}, {bare}")
        files[bare] = lines_of(text)
    files.source = f"{FOLDER} in {spot}"
    if DATA not in files:
        raise InputError(f"{spot} lacks {DATA}, the ratings; fetch it again")
    return files


def read_ratings(folder: Path) -> Ratings | None:
    """Reads the ratings that a folder holds, see `find_files`; None where there are none.

    Raises:
      InputError: as `find_files` and `parse_ratings`.
    """
    files = find_files(folder)
    return None if files is None else ratings_of(files)


def ratings_of(files: Files) -> Ratings:
    """Returns the ratings of files; `u.user` and `u.item` say how many users and items there are, else `u.data`."""
    titles = tuple(_title(line, n, files.source) for n, line in enumerate(files.get(ITEMS, []), 1))
    return parse_ratings(files[DATA], files.source, len(files.get(USERS, [])), len(titles))._replace(titles=titles)


def parse_ratings(lines: list[str], source: str, num_users: int = 0, num_items: int = 0) -> Ratings:
    """Returns the ratings of lines "user item rating time", numbers from 1 with tabs between them.

    num_users, num_items: rows of the tables; 0 takes the largest number, up to a million or ten times the ratings

    Raises:
      InputError: a line is no such line, a rating is outside of the scale from 1 to 5, or a user or an item outside of
        the tables, or a user rates an item twice; the message names the line.
    """
    table = np.array([_numbers(line, number, source) for number, line in enumerate(lines, 1)], np.int64).reshape(-1, 4)
    if not len(table):
        raise InputError(f"{source}: {DATA} holds no rating; lines of user, item, rating and time are right")
    users, items, values, times = table.T
    untold = max(UNTOLD, 10 * len(table))
    rows = (num_users or min(users.max(), untold), num_items or min(items.max(), untold))
    for what, column, least, most, more in (
        ("user", users, 1, rows[0], "" if num_users else f", or {USERS} with a line for each"),
        ("item", items, 1, rows[1], "" if num_items else f", or {ITEMS} with a line for each"),
        ("rating", values, *SCALE, ""),
    ):
        wrong = np.flatnonzero((column < least) | (column > most))
        if wrong.size:
            line = int(wrong[0])
            raise InputError(
                f"{source}: {DATA}, line {line + 1}: {what} {column[line]};"
                f" one from {int(least)} to {int(most)} is right{more if column[line] > most else ''}"
            )
    _check_pairs(users, items, source)
    numbered = ((users - 1).astype(np.int32), (items - 1).astype(np.int32))
    return Ratings(*numbered, values.astype(np.float32), times, int(rows[0]), int(rows[1]), source)


def _check_pairs(users: np.ndarray, items: np.ndarray, source: str) -> None:
    """Raises InputError for the first user and item that an earlier line has rated.

    Of two ratings one could be trained on and the other held out, and a table of ratings has room for one.
    """
    _, first, pair = np.unique(users * (items.max() + 1) + items, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[pair] < np.arange(len(pair)))
    if again.size:
        line = int(again[0])
        raise InputError(
            f"{source}: {DATA}, line {line + 1}: user {users[line]} has rated item {items[line]} in line"
            f" {first[pair[line]] + 1} already; one rating of each pair, as the latest, is right"
        )


def fetch_ml100k() -> Path:
    """Downloads GroupLens's zip into `download_folder()` and returns the folder; InputError where that fails."""
    return fetch(ZIP, MIRRORS, SHA1, download_folder()).parent


def no_ml100k(folder: Path) -> InputError:
    """Returns the error for a folder in which `find_files` finds nothing."""
    return InputError(f"{folder} holds no MovieLens-100K; {ZIP}, or a folder {FOLDER} with {DATA}, is right")


def _title(line: str, number: int, source: str) -> str:
    cells = line.split("|")
    if len(cells) < 2 or cells[0] != str(number):
        raise InputError(
            f"{source}: {ITEMS}, line {number} is not item {number}: {line[:60]!r}; number|title|... in order is right"
        )
    return cells[1]


def _numbers(line: str, number: int, source: str) -> list[int]:
    cells = line.split("\t")
    try:
        user, item, value, time = np.array([int(cell) for cell in cells], np.int64).tolist()
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{source}: {DATA}, line {number} is no rating: {line[:60]!r};"
            " user, item, rating and time, whole numbers with tabs between, are right"
        ) from error
    return [user, item, value, time]
