"""Ratings of items by users, their splits and the items that a user has not rated (book, sections 21.2 and 21.6)."""

import random
from typing import NamedTuple

import numpy as np

from d2l_jax.errors import InputError

SCALE = (1.0, 5.0)


class Ratings(NamedTuple):
    """Ratings in the order of their file.

    users, items: numbers from 0, int32 (n,)
    values:       float32 (n,)
    times:        int64 (n,)
    num_users, num_items: rows of the tables
    source:       where they are from, in words
    titles:       of the items; empty where they are not known
    """

    users: np.ndarray
    items: np.ndarray
    values: np.ndarray
    times: np.ndarray
    num_users: int
    num_items: int
    source: str
    titles: tuple[str, ...] = ()

    def at(self, rows: np.ndarray) -> "Ratings":
        """Returns some of the ratings, by their numbers or by a mask."""
        return self._replace(
            users=self.users[rows], items=self.items[rows], values=self.values[rows], times=self.times[rows]
        )

    def matrix(self) -> np.ndarray:
        """Returns the ratings of every item by every user, 0 where there is none, float32 (items, users)."""
        table = np.zeros((self.num_items, self.num_users), np.float32)
        table[self.items, self.users] = self.values
        return table

    def seen(self) -> np.ndarray:
        """Tells which items each user has rated, bool (users, items)."""
        return self.matrix().T > 0


class Parts(NamedTuple):
    """Ratings to train on and to test on."""

    train: Ratings
    test: Ratings


def split_randomly(ratings: Ratings, test_ratio: float = 0.1, seed: int = 0) -> Parts:
    """Splits by one number of Python's `random` for each rating; the book has seed 0 in its second edition.

    Raises:
      InputError: the share is not between 0 and 1, or one part is empty.
    """
    if not 0 < test_ratio < 1:
        raise InputError(f"a test ratio of {test_ratio}; a number between 0 and 1 is right")
    train = drawn_mask(len(ratings.users), test_ratio, seed)
    if train.all() or not train.any():
        raise InputError(f"{len(train)} ratings leave an empty part at a test ratio of {test_ratio}; more are right")
    return Parts(ratings.at(train), ratings.at(~train))


def drawn_mask(count: int, test_ratio: float = 0.1, seed: int = 0) -> np.ndarray:
    """Tells which of `count` examples are to train on, bool (count,): one number of Python's `random` for each."""
    draw = random.Random(seed)
    return np.array([draw.random() < 1 - test_ratio for _ in range(count)], bool)


def split_by_time(ratings: Ratings) -> Parts:
    """Holds out the last rating of every user; those to train on are in order of user and time.

    Of several at the same last time the first in the file is held out, as in the book.

    Raises:
      InputError: some user has fewer than two ratings.
    """
    counts = np.bincount(ratings.users, minlength=ratings.num_users)
    if (few := np.flatnonzero(counts < 2)).size:
        raise InputError(f"user {few[0] + 1} has {counts[few[0]]} ratings; two or more of every user are right")
    order = np.lexsort((ratings.times, ratings.users))  # stable: the file's order within a time
    last = np.repeat(np.cumsum(counts) - 1, counts)
    times = ratings.times[order]
    latest = np.flatnonzero(times == times[last])
    users = ratings.users[order]
    _, first = np.unique(users[latest], return_index=True)
    held_out = np.zeros(len(order), bool)
    held_out[latest[first]] = True
    return Parts(ratings.at(order[~held_out]), ratings.at(order[held_out]))


def unrated(seen: np.ndarray) -> np.ndarray:
    """Returns the items that each user has not seen, ascending, -1 behind them, int32 (users, widest).

    seen: bool (users, items)

    Raises:
      InputError: a user has seen every item.
    """
    counts = (~seen).sum(1)
    if not counts.all():
        raise InputError(f"user {int(np.argmin(counts)) + 1} has rated every item; nothing is left to rank")
    order = np.argsort(seen, axis=1, kind="stable")[:, : counts.max()]
    return np.where(np.arange(counts.max()) < counts[:, None], order, -1).astype(np.int32)


def check_numbers(users: np.ndarray, items: np.ndarray, num_users: int, num_items: int) -> None:
    """Raises InputError for the first number of a user or an item, from 0, that the tables do not hold."""
    for what, numbers, rows in (("user", users, num_users), ("item", items, num_items)):
        wrong = np.flatnonzero((numbers < 0) | (numbers >= rows))
        if wrong.size:
            number = int(numbers[wrong[0]]) + 1
            raise InputError(f"{what} {number} is not in the table; a number from 1 to {rows} is right")
