"""Runs on reviews and pairs of sentences: their word vectors, and pictures of what they learned (chapter 16)."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.case import Case
from d2l_jax.cpu.compile import jit
from d2l_jax.data import Dataset, TokenEmbedding, Vocab, find_vectors
from d2l_jax.data.text.translation import PAD
from d2l_jax.functional import eval_view, intermediates
from d2l_jax.runs.plot import picture, title
from d2l_jax.runs.texts import Trained

log = logging.getLogger(__name__)

SENTENCES = ("reviews", "inference")  # the kinds of data
TABLES = ("embedding.weight", "constant_embedding.weight")
TESTED = 2000  # examples in a table of classes
BLOCK = 200  # that are classed at once
SHOWN = 3  # pairs in the picture of attention


def with_vectors(case: Case, data: Dataset, vectors: TokenEmbedding) -> Case:
    """Returns the Case whose tables of words start from pretrained vectors, of their length."""
    args: dict[str, Any] = {**case.args, "embed_size": vectors.dimensions}
    if "num_inputs_attend" in case.probe:
        args |= {"num_inputs_attend": vectors.dimensions, "num_inputs_compare": 2 * vectors.dimensions}
    table = vectors.table(data.vocabs[0])
    return replace(case, args=args, starts=dict.fromkeys(TABLES, table))


def with_found_vectors(case: Case, data: Dataset) -> Case:
    """Returns the Case of words with vectors from the usual places; as it is, with a line in the log, without any."""
    if data.kind not in SENTENCES or "embed_size" not in case.args:
        return case
    vectors = find_vectors()
    if vectors is None:
        log.warning("no pretrained word vectors; they are drawn: vec.txt or glove*.zip in D2L_DATA is right")
        return case
    log.info("word vectors %s, %d dimensions", vectors.source, vectors.dimensions)
    return with_vectors(case, data, vectors)


def confusion(labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Counts examples by true class (rows) and predicted class (columns): int64 (classes, classes)."""
    classes = outputs.shape[-1]
    pairs = labels.astype(np.int64) * classes + outputs.argmax(-1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def draw_confusion(
    metrics: dict[str, Any], labels: np.ndarray, outputs: np.ndarray, names: Sequence[str], path: Path
) -> None:
    """Draws the examples of each class by what they were predicted to be, numbers in the squares."""
    counts = confusion(labels, outputs)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with picture(path, (1.6 + 1.2 * len(names), 1.4 + 1.0 * len(names))) as figure:
        axis = figure.subplots()
        figure.suptitle(f"{title(metrics)}: {len(labels):,} test examples", fontsize=9)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axis.set_xticks(range(len(names)), names, fontsize=8)
        axis.set_yticks(range(len(names)), names, fontsize=8, rotation=90, va="center")
        axis.set(xlabel="predicted", ylabel="true")
        for row, column in np.ndindex(counts.shape):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour)


def draw_alignment(metrics: dict[str, Any], data: Dataset, trained: Trained, path: Path) -> None:
    """Draws, for the first pairs to test on, how much each word of the premise attends to those of the hypothesis."""
    premises, hypotheses = (side[:SHOWN] for side in data.test[0])
    weights = alignment(trained, premises, hypotheses)
    (vocab,) = data.vocabs
    with picture(path, (4.2 * len(premises), 4.2)) as figure:
        figure.suptitle(f"{title(metrics)}: attention of premise (rows) to hypothesis (columns)")
        axes = figure.subplots(1, len(premises), squeeze=False)[0]
        for axis, panel, rows, columns, label in zip(axes, weights, premises, hypotheses, data.test[1]):
            down, across = (words_in(side, vocab) for side in (rows, columns))
            axis.imshow(panel[: len(down), : len(across)], cmap="Blues", vmin=0, aspect="auto")
            axis.set_xticks(range(len(across)), across, fontsize=6, rotation=90)
            axis.set_yticks(range(len(down)), down, fontsize=6)
            axis.set_title(data.classes[label], fontsize=8)


def predicted(data: Dataset, predict: Callable[[Any], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns true labels and scores of the first examples to test on, in blocks of equal size."""
    y = data.test[1]
    size = min(len(y), BLOCK)
    count = min(len(y) // size * size, TESTED)
    blocks = [jax.tree.map(lambda X, at=at: X[at : at + size], data.test[0]) for at in range(0, count, size)]
    return y[:count], np.concatenate([predict(block) for block in blocks])


def alignment(trained: Trained, premises: np.ndarray, hypotheses: np.ndarray) -> np.ndarray:
    """Returns the attention of premises to hypotheses: (pairs, m, n)."""
    apply = jit(intermediates(eval_view(trained.model)).apply)
    _, sown = apply(trained.params, trained.buffers, jnp.asarray(premises), jnp.asarray(hypotheses))
    return np.asarray(sown["attend"]["attention_weights"][0])[:, 0]


def words_in(row: np.ndarray, vocab: Vocab) -> list[str]:
    """Returns the words of a row of ids without the padding at its end."""
    words = vocab.to_tokens(row)
    while len(words) > 1 and words[-1] == PAD:
        words.pop()
    return words
