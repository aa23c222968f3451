"""Masked words and next sentences as a pretrained BERT guesses them (book, section 15.10)."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.cpu.compile import jit
from d2l_jax.data import Dataset, Vocab
from d2l_jax.data.text.masked import CLS, MASK, PAD, SEP, tokens_and_segments
from d2l_jax.errors import InputError
from d2l_jax.functional import eval_view, functional
from d2l_jax.runs.finished import Finished
from d2l_jax.runs.texts import Text, Texts, Trained

SHOWN = 5  # pairs of a run, and guesses for a word


def write_guesses(data: Dataset, trained: Trained) -> Texts:
    """Returns the first pairs to test on, each with the words that a model guesses, and the true ones in brackets."""
    (vocab,) = data.vocabs
    (tokens, segments, lengths, positions), (labels, weights, _) = data.test
    inputs = tuple(array[:SHOWN] for array in (tokens, segments, lengths, positions))
    scores, _ = _scores(trained, inputs)
    samples = []
    for row, best in enumerate(scores.argmax(-1)):
        true = weights[row] > 0
        pairs = zip(vocab.to_tokens(best[true]), vocab.to_tokens(labels[row][true]))
        made = ", ".join(f"{guess} ({word})" for guess, word in pairs)
        samples.append(Text(" ".join(vocab.to_tokens(tokens[row, : lengths[row]])), made))
    return Texts(samples, {})


def guessed(run: Finished, texts: Sequence[str]) -> list[str]:
    """Returns every text with the likeliest words at each `<mask>`, and of a pair whether the second follows the first.

    A pair stands around `<sep>`, with spaces. Raises InputError for a text without a mask that is no pair, for one
    that is too long, and for more than one `<sep>`.
    """
    (vocab,) = run.vocabs
    steps = run.case.arrays[0].shape[1]
    rows = [_encoded(text, vocab, steps) for text in texts]
    slots = max(1, *(len(row[3]) for row in rows))
    positions = np.array([[*row[3], *[0] * (slots - len(row[3]))] for row in rows], np.int32)
    tokens, segments, lengths = (np.array([row[i] for row in rows], np.int32) for i in range(3))
    scores, following = _scores(run.trained, (tokens, segments, lengths, positions))
    lines = []
    for number, text in enumerate(texts):
        masks = len(rows[number][3])
        answers = [_likeliest(scores[number, slot], vocab) for slot in range(masks)]
        if SEP in text.split():
            answers.append(f"next sentence {float(following[number, 1]):.3f}")
        lines.append(f"{text} -> {'; '.join(answers)}")
    return lines


def _encoded(text: str, vocab: Vocab, steps: int) -> tuple[list[int], list[int], int, list[int]]:
    """Returns tokens and segments, padded, their number, and the positions of the masks."""
    sentences = [[]]
    for word in text.lower().split():
        if word == SEP:
            sentences.append([])
        else:
            sentences[-1].append(word)
    if len(sentences) > 2 or (len(sentences) == 1 and MASK not in sentences[0]):
        raise InputError(f"{text!r} has {len(sentences) - 1} {SEP} and no {MASK}; a {MASK}, or one {SEP}, is right")
    words, segments = tokens_and_segments(*sentences)
    if len(words) > steps:
        raise InputError(f"{text[:40]!r} has {len(words)} tokens with {CLS} and {SEP}; {steps} or fewer are right")
    padding = steps - len(words)
    masks = [place for place, word in enumerate(words) if word == MASK]
    return vocab[words + [PAD] * padding], segments + [0] * padding, len(words), masks


def _scores(trained: Trained, inputs: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the probabilities of words (N, slots, vocabulary), and of another or the next sentence (N, 2)."""
    apply = jit(functional(eval_view(trained.model)).apply)
    (_, words, following), _ = apply(trained.params, trained.buffers, *map(jnp.asarray, inputs))
    return np.asarray(jax.nn.softmax(words)), np.asarray(jax.nn.softmax(following))


def _likeliest(probabilities: Any, vocab: Vocab) -> str:
    best = np.argsort(-probabilities, kind="stable")[:SHOWN]
    return ", ".join(f"{vocab.to_tokens(int(i))} {float(probabilities[i]):.3f}" for i in best)
