"""What a trained recommender says: ratings of items, and its figures in a line (chapter 21)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.data import Dataset
from d2l_jax.functional import eval_view, functional
from d2l_jax.runs.texts import Text, Texts, Trained

SHOWN = 5
BEST = 3  # items that are named
# The figures that are told at the end.
RESULTS = {"test_rmse": "RMSE", "test_hit_rate": "hit rate@50", "test_auc": "AUC", "test_ndcg": "NDCG@50"}


def result_line(final: dict[str, Any]) -> str:
    """Returns the figures of the last epoch that chapter 21 tells of, in words; "" where there are none."""
    return ", ".join(f"test {words} {final[name]:.4f}" for name, words in RESULTS.items() if name in final)


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


def title(data: Dataset, item: int) -> str:
    """Returns the title of an item, or its number from 1."""
    return data.titles[item] if data.titles else f"item {item + 1}"


def outputs(trained: Trained, *inputs: Any) -> np.ndarray:
    """Returns what the model gives in evaluation mode."""
    apply = functional(eval_view(trained.model)).apply
    return np.asarray(apply(*trained[1:], *jax.tree.map(jnp.asarray, inputs))[0])
