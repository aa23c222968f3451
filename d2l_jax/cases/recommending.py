"""Recommender systems of the second edition (chapter 21); the settings of the first are cases of their own."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Array

from d2l_jax import losses, models, optim
from d2l_jax.case import Case, supervised, tokens
from d2l_jax.metrics import OF_CLICKS, OF_ROWS, RANKS, RMSE, Metric, right_clicks
from d2l_jax.turns import Tensors, Turn

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


def draw_pairs(random: np.random.Generator) -> Tensors:
    """Draws 11 items that users have rated, each with 3 others of which the first 1 to 3 count; -1 is none."""
    batch = draw_ratings(random)
    _, items = batch["input"]
    others = (items[:, None] + random.integers(1, 23, (11, 3), np.int32)) % 23  # not the item: it would score as much
    counted = np.array([[1], [3], *random.integers(1, 4, (9, 1))])
    return batch | {"targets": np.where(np.arange(3) < counted, others, -1).astype(np.int32)}


def draw_windows(random: np.random.Generator) -> Tensors:
    """Draws the same with the 3 items that each user has rated before."""
    batch = draw_pairs(random)
    users, items = batch["input"]
    return batch | {"input": (users, random.integers(0, 23, (11, 3), np.int32), items)}


def ranking(name: str, section: str, title: str, model: Callable, lr: float, **options: Any) -> Case:
    """Returns a model that learns to rank, by BPR unless another `loss` is given."""
    loss = options.pop("loss", losses.bpr_loss)
    return Case(
        name,
        section,
        title,
        model,
        turns=(Turn(models.Ranked(loss), partial(optim.Adam, lr=lr, weight_decay=1e-5)),),
        observe=models.RankedAmong(loss),
        metrics=RANKS,
        **options,
    )


NEUMF = partial(
    ranking,
    section="21.6",
    model=models.NeuMF,
    lr=0.01,
    inputs=pairs(1024),
    args={"num_factors": 10, "nums_hiddens": [10, 10, 10]} | TABLES,
    probe={"num_factors": 5, "nums_hiddens": [7, 3]} | PROBED,
    probe_inputs=(tokens((11,), 17), tokens((11,), 23)),
    draw=draw_pairs,
    data="ml100k_ranking",
    epochs=10,
)

CASER = partial(
    ranking,
    section="21.7",
    model=models.Caser,
    lr=0.04,
    inputs=(tokens((4096,), USERS), tokens((4096, 5), ITEMS), tokens((4096,), ITEMS)),
    args={"num_factors": 10, "L": 5, "d": 16, "d_prime": 4, "drop_ratio": 0.05} | TABLES,
    probe={"num_factors": 5, "L": 3, "d": 7, "d_prime": 2} | PROBED,
    probe_inputs=(tokens((11,), 17), tokens((11, 3), 23), tokens((11,), 23)),
    draw=draw_windows,
    data="ml100k_sequences",
    epochs=8,
)


def draw_rows(random: np.random.Generator) -> Tensors:
    """Draws 11 items with ratings by about half of 17 users, in either split."""
    known, hidden = random.integers(1, 6, (2, 11, 17)) * (random.random((2, 11, 17)) < 0.5)
    return {"input": known.astype(np.float32), "targets": np.where(known, known, hidden).astype(np.float32)}


def autorec(name: str, title: str, loss: Callable[[Array, Array], Array], of_epoch: dict[str, Metric]) -> Case:
    """Returns AutoRec with one of its losses, which leave out what is not rated, in evaluation too."""
    return supervised(
        name,
        "21.4",
        title,
        models.AutoRec,
        (256, USERS),
        args={"num_hidden": 500, "num_users": USERS},
        probe={"num_hidden": 5, "num_users": 17},
        probe_inputs=(11, 17),
        draw=draw_rows,
        loss=loss,
        optimizer=partial(optim.Adam, lr=0.002, weight_decay=1e-5),
        labels=False,
        metrics=of_epoch,
        data="ml100k_items",
        epochs=25,
    )


FIELDS = [5, 7, 3, *[4] * 31]  # an example of 34 fields; those of the data take their place


PROBED_FIELDS = [5, 2, 7, 3, 4]


def draw_clicks(random: np.random.Generator) -> Tensors:
    """Draws 11 examples of the fields of the check, clicked or not; the first two are equal."""
    starts = np.cumsum([0, *PROBED_FIELDS[:-1]])
    fields = starts + random.integers(0, PROBED_FIELDS, (11, len(PROBED_FIELDS)))
    fields[1] = fields[0]
    return {"input": fields.astype(np.int32), "targets": random.integers(0, 2, (11, 1)).astype(np.float32)}


def clicks(
    name: str, section: str, title: str, model: Callable, lr: float, args: dict[str, Any], first_edition: bool = False
) -> Case:
    """Returns a model of clicks; in the first edition it returns probabilities, which its loss takes for logits."""
    of_epoch = OF_CLICKS | {"accuracy": Metric(partial(right_clicks, threshold=0.5))} if first_edition else OF_CLICKS
    return supervised(
        name,
        section,
        title,
        model,
        (tokens((2048, 34), sum(FIELDS)),),
        args={"field_dims": FIELDS} | args | ({"first_edition": True} if first_edition else {}),
        probe={"field_dims": PROBED_FIELDS, "num_factors": 3},
        probe_inputs=(tokens((11, len(PROBED_FIELDS)), sum(PROBED_FIELDS)),),
        draw=draw_clicks,
        loss=losses.click_loss,
        optimizer=partial(optim.Adam, lr=lr),
        labels=False,
        metrics=of_epoch,
        data="ctr",
        epochs=30,
    )


DEEP = {"num_factors": 10, "mlp_dims": [30, 20, 10], "drop_rate": 0.1}

RECOMMENDING: tuple[Case, ...] = (
    MATRIX_FACTORIZATION("mf"),
    MATRIX_FACTORIZATION(
        "mf-first-edition",
        title="MF of the first edition",
        args={"num_factors": 30, "first_edition": True} | TABLES,
        loss=losses.half_mse,
    ),
    autorec("autorec", "AutoRec", losses.observed_squared_error, OF_ROWS | RMSE),
    autorec(
        "autorec-first-edition",
        "AutoRec of the first edition",
        partial(losses.observed_squared_error, first_edition=True),
        RMSE,
    ),
    NEUMF("neumf", title="NeuMF"),
    NEUMF(
        "neumf-first-edition",
        title="NeuMF of the first edition",
        args={"num_factors": 10, "nums_hiddens": [10, 10, 10], "first_edition": True} | TABLES,
    ),
    CASER("caser", title="Caser"),
    CASER("caser-hinge", title="Caser with a hinge loss", loss=losses.hinge_ranking_loss),
    clicks("fm", "21.9", "FM", models.FM, 0.02, {"num_factors": 20}),
    clicks("fm-first-edition", "21.9", "FM of the first edition", models.FM, 0.02, {"num_factors": 20}, True),
    clicks("deepfm", "21.10", "DeepFM", models.DeepFM, 0.01, DEEP),
    clicks("deepfm-first-edition", "21.10", "DeepFM of the first edition", models.DeepFM, 0.01, DEEP, True),
)
