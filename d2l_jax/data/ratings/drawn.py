"""Drawn ratings, for runs without files: users and items with hidden tastes."""

import numpy as np

from d2l_jax.data.ratings.ratings import Ratings

USERS, ITEMS, EACH, TASTES = 200, 300, 40, 3


def drawn_ratings(seed: int = 0) -> Ratings:
    """Draws 8,000 ratings, 40 of each of 200 users, by tastes of 3 numbers; a user takes first what it likes most.

    Likes are products of tastes, with a bias of every user and item, and noise; the scale is from 1 to 5.
    """
    random = np.random.default_rng([seed, 21])
    tastes, kinds = random.normal(size=(USERS, TASTES)), random.normal(size=(ITEMS, TASTES))
    biases = 0.4 * random.normal(size=(USERS, 1)) + 0.6 * random.normal(size=ITEMS)
    likes = 3.3 + biases + 0.6 * tastes @ kinds.T
    chosen = np.argsort(-(likes + 1.5 * random.gumbel(size=likes.shape)), axis=1)[:, :EACH]
    users = np.repeat(np.arange(USERS, dtype=np.int32), EACH)
    items = chosen.reshape(-1).astype(np.int32)
    values = np.clip(np.rint(likes[users, items] + 0.5 * random.normal(size=len(users))), 1, 5).astype(np.float32)
    times = np.tile(np.arange(EACH), USERS)
    titles = tuple(f"item {number}" for number in range(1, ITEMS + 1))
    return Ratings(users, items, values, times, USERS, ITEMS, f"drawn with seed {seed}", titles)
