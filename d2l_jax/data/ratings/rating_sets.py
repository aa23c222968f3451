"""Data sets of ratings in the forms that the models of chapter 21 learn from."""

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.data.ratings.ratings import Parts, Ratings, split_by_time, split_randomly, unrated
from d2l_jax.errors import InputError

RATINGS, ROWS, RANKING = "ratings", "item_rows", "ranking"  # the kinds
WINDOW = 5  # items before the one to be found (section 21.7)


def rating_set(ratings: Ratings, name: str, random_split: bool = False) -> Dataset:
    """Returns users and items with their ratings (section 21.3).

    random_split: every tenth rating, drawn, is to test on; else the last of every user

    Returns:
      X = (user int32 (N,), item int32 (N,)), y float32 (N,); `rows` are (users, items).
    """
    parts = split_randomly(ratings) if random_split else split_by_time(ratings)
    train, test = (((part.users, part.items), part.values) for part in parts)
    return _dataset(name, train, test, ratings, RATINGS)


def item_rows(ratings: Ratings, name: str) -> Dataset:
    """Returns every item's ratings by all users as one example, 0 where there is none (section 21.4).

    Returns:
      X float32 (items, users): the ratings to train on, in either split; y float32 (items, users): the same to
      train, and to test the ratings that are held out, drawn from all.
    """
    parts = split_randomly(ratings)
    known = parts.train.matrix()
    return _dataset(name, (known, known), (known, parts.test.matrix()), ratings, ROWS)


def rankings(ratings: Ratings, name: str, corrected: bool = False) -> Dataset:
    """Returns users with an item that they have rated, and one that they have not (section 21.6).

    corrected: the last item of a user, which is to test on, may be drawn as one that it has not rated. In the book the
               sampler knows that item and leaves it out, which flatters the ranks

    Returns:
      X = (user int32 (N,), item int32 (N,)), y int32 (N, width): items to be ranked below, -1 behind them. To train on
      it is one, drawn, which `pool` has others for; to test on all that the user has not rated.
    """
    parts = split_by_time(ratings)
    pool, others = _unrated(ratings, parts, corrected)
    train, test = ((part.users, part.items) for part in parts)
    return _dataset(name, (train, _drawn(pool, parts.train.users)), (test, others), ratings, RANKING, pool)


def sequences(ratings: Ratings, name: str, corrected: bool = False, window: int = WINDOW) -> Dataset:
    """Returns the same with the `window` items before: X = (user, items int32 (N, window), item) (section 21.7).

    A user with no more ratings than a window is left out.

    Raises InputError where no user has one more to train on, and one to test on.
    """
    parts = split_by_time(ratings)
    pool, others = _unrated(ratings, parts, corrected)
    train = parts.train
    starts, counts = np.unique(train.users, return_index=True)[1], np.bincount(train.users)
    places = np.arange(len(train.users)) - starts[train.users]
    targets = np.flatnonzero(places >= window)
    before = train.items[targets[:, None] + np.arange(-window, 0)]
    inputs = (train.users[targets], before, train.items[targets])
    if not len(targets):
        raise InputError(
            f"{ratings.source}: no user has {window + 2} ratings: {window} in a row, one to train and one to test on;"
            " longer histories are right"
        )
    long = counts[parts.test.users] > window
    ends = (starts + counts)[parts.test.users][long]
    last = train.items[ends[:, None] + np.arange(-window, 0)]
    tested = (parts.test.users[long], last, parts.test.items[long])
    return _dataset(name, (inputs, _drawn(pool, inputs[0])), (tested, others[long]), ratings, RANKING, pool)


def _unrated(ratings: Ratings, parts: Parts, corrected: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns the items to draw from, and those to test on, of every user."""
    others = unrated(ratings.seen())
    return (unrated(parts.train.seen()) if corrected else others), others


def _drawn(pool: np.ndarray, users: np.ndarray) -> np.ndarray:
    """Draws one item of its user's pool for each row, int32 (rows, 1), always the same."""
    counts = (pool >= 0).sum(1)[users]
    places = np.random.default_rng(21).integers(0, counts)
    return pool[users, places][:, None]


def _dataset(
    name: str, train: Split, test: Split, ratings: Ratings, form: str, pool: np.ndarray | None = None
) -> Dataset:
    rows = (ratings.num_users, ratings.num_items)
    return Dataset(name, train, test, ratings.source, form=form, rows=rows, pool=pool, titles=ratings.titles)
