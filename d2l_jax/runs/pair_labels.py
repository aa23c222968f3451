"""Pairs of sentences as a fine-tuned BERT classifies them (book, section 16.7)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.cpu.compile import jit
from d2l_jax.data import Dataset
from d2l_jax.data.text.bert_pairs import encode_pairs
from d2l_jax.data.text.snli import LABELS
from d2l_jax.functional import eval_view, functional
from d2l_jax.runs.classed import sides_of
from d2l_jax.runs.finished import Finished
from d2l_jax.runs.texts import Text, Texts, Trained

SHOWN = 8  # pairs of a run


def write_labels(data: Dataset, trained: Trained) -> Texts:
    """Returns the first pairs to test on, each with the label that a model gives, and the true one in brackets."""
    (vocab,) = data.vocabs
    X, y = data.test
    tokens, segments, lengths = (array[:SHOWN] for array in X)
    samples = []
    for row, label in enumerate(_probabilities(trained, tokens, segments, lengths).argmax(-1)):
        pair = " ".join(vocab.to_tokens(tokens[row, 1 : lengths[row] - 1]))
        samples.append(Text(pair, f"{data.classes[label]} ({data.classes[y[row]]})"))
    return Texts(samples, {})


def classified(run: Finished, texts: Sequence[str]) -> list[str]:
    """Returns every pair, a premise and a hypothesis around `<sep>`, with the probability of each label.

    Raises InputError for a text that is no such pair.
    """
    (vocab,) = run.vocabs
    pairs = [(premise.split(), hypothesis.split()) for premise, hypothesis in map(sides_of, texts)]
    probabilities = _probabilities(run.trained, *encode_pairs(pairs, vocab, run.case.arrays[0].shape[1]))
    lines = []
    for text, row in zip(texts, probabilities):
        best = np.argsort(-row, kind="stable")
        lines.append(f"{text} -> {', '.join(f'{LABELS[i]} {row[i]:.3f}' for i in best)}")
    return lines


def _probabilities(trained: Trained, *inputs: np.ndarray) -> np.ndarray:
    apply = jit(functional(eval_view(trained.model)).apply)
    scores, _ = apply(trained.params, trained.buffers, *map(jnp.asarray, inputs))
    return np.asarray(jax.nn.softmax(scores))
