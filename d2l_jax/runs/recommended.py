"""What a trained recommender says: ratings of items, and its figures in a line (chapter 21)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.data import Dataset
from d2l_jax.functional import eval_view, functional
from d2l_jax.metrics import area_under_curve
from d2l_jax.runs.texts import Text, Texts, Trained

SHOWN = 5
BEST = 3  # items that are named
# The figures that are told at the end.
RESULTS = {
    "test_rmse": "test RMSE",
    "test_hit_rate": "test hit rate@50",
    "test_auc": "test AUC",
    "test_ndcg": "test NDCG@50",
}


def told(data: Dataset, trained: Trained, final: dict[str, Any]) -> dict[str, float]:
    """Returns the figures by which chapter 21 judges a model, those of the last epoch; {} for data of another kind."""
    figures = {words: final[name] for name, words in RESULTS.items() if name in final}
    if data.kind == "clicks":
        X, y = data.test
        if len(np.unique(y)) > 1:  # of clicks alone there is no AUC
            figures["test AUC"] = area_under_curve(outputs(trained, X), y)
    return figures


def write_ratings(data: Dataset, trained: Trained) -> Texts:
    """Writes what the model gives to the first test examples, and the true ratings."""
    inputs = tuple(array[:SHOWN] for array in data.test[0])
    made = outputs(trained, *inputs)
    named = [f"user {user + 1}, {title(data, item)}" for user, item in zip(*inputs)]
    rows = zip(named, made.tolist(), data.test[1].tolist())
    return Texts([Text(given, f"{rating:.2f}", f"{true:g}") for given, rating, true in rows], {})


def write_ranks(data: Dataset, trained: Trained) -> Texts:
    """Writes, for the first users, the items that score most among those that they have not rated, and the true one."""
    inputs = tuple(array[:SHOWN] for array in data.test[0])
    *context, items = inputs
    candidates = np.concatenate([items[:, None], data.test[1][:SHOWN]], 1)
    scores = outputs(trained, *context, np.maximum(candidates, 0)).reshape(candidates.shape)
    best = np.argsort(-np.where(candidates >= 0, scores, -np.inf), axis=1, kind="stable")[:, :BEST]
    chosen = np.take_along_axis(candidates, best, 1)
    texts = []
    for user, item, row in zip(context[0], items, chosen):
        texts.append(Text(f"user {user + 1}", "; ".join(title(data, each) for each in row), title(data, item)))
    return Texts(texts, {})


def write_rows(data: Dataset, trained: Trained) -> Texts:
    """Writes the ratings that are held out of the first items that have one, and what the model gives."""
    known, hidden = data.test
    items = np.flatnonzero(hidden.any(1))[:SHOWN]
    made = outputs(trained, known[items])
    texts = []
    for item, ratings, row in zip(items, hidden[items], made):
        user = int(ratings.argmax())
        texts.append(Text(f"user {user + 1}, {title(data, item)}", f"{row[user]:.2f}", f"{ratings[user]:g}"))
    return Texts(texts, {})


def write_clicks(data: Dataset, trained: Trained) -> Texts:
    """Writes what the model gives to the first test examples, a logit or a probability, and whether they are clicks."""
    X, y = (array[:SHOWN] for array in data.test)
    made = outputs(trained, X)[:, 0]
    named = [f"example {number}" for number in range(1, SHOWN + 1)]
    return Texts([Text(given, f"{out:.2f}", f"{true:g}") for given, out, true in zip(named, made, y[:, 0])], {})


def title(data: Dataset, item: int) -> str:
    """Returns the title of an item, or its number from 1."""
    return data.titles[item] if data.titles else f"item {item + 1}"


def outputs(trained: Trained, *inputs: Any) -> np.ndarray:
    """Returns what the model gives in evaluation mode."""
    apply = functional(eval_view(trained.model)).apply
    return np.asarray(apply(*trained[1:], *jax.tree.map(jnp.asarray, inputs))[0])
