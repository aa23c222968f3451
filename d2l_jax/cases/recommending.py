"""Recommender systems of the second edition (chapter 21); the settings of the first are cases of their own."""

from functools import partial

import numpy as np

from d2l_jax import losses, models, optim
from d2l_jax.case import Case, supervised, tokens
from d2l_jax.metrics import RMSE
from d2l_jax.turns import Tensors

USERS, ITEMS = 943, 1682  # of MovieLens-100K
TABLES = {"num_users": USERS, "num_items": ITEMS}
PROBED = {"num_users": 17, "num_items": 23}


def pairs(batch: int) -> tuple:
    """Declares users and items."""
    return tokens((batch,), USERS), tokens((batch,), ITEMS)


def draw_ratings(random: np.random.Generator) -> Tensors:
    """Draws 11 ratings from 1 to 5 of 23 items by 17 users, of which one user and one item come twice."""
    users, items = (random.integers(0, rows, 11, np.int32) for rows in (17, 23))
    users[1], items[2] = users[0], items[0]
    return {"input": (users, items), "targets": random.integers(1, 6, 11).astype(np.float32)}


MATRIX_FACTORIZATION = partial(
    supervised,
    section="21.3",
    title="MF",
    model=models.MF,
    inputs=pairs(512),
    args={"num_factors": 30} | TABLES,
    probe={"num_factors": 5} | PROBED,
    probe_inputs=(tokens((11,), 17), tokens((11,), 23)),
    draw=draw_ratings,
    loss=losses.mse,
    optimizer=partial(optim.Adam, lr=0.002, weight_decay=1e-5),
    labels=False,
    metrics=RMSE,
    data="ml100k",
    epochs=20,
)

RECOMMENDING: tuple[Case, ...] = (
    MATRIX_FACTORIZATION("mf"),
    MATRIX_FACTORIZATION(
        "mf-first-edition",
        title="MF of the first edition",
        args={"num_factors": 30, "first_edition": True} | TABLES,
        loss=losses.half_mse,
    ),
)
