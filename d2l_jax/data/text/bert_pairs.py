"""Pairs of sentences as BERT classifies them (section 16.7 of the book)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from d2l_jax.data.text.masked import PAD, Sentence, tokens_and_segments
from d2l_jax.data.text.vocab import Vocab
from d2l_jax.errors import InputError

LABELS = ("entailment", "contradiction", "neutral")


class LabelledPair(NamedTuple):
    """A premise and a hypothesis as tokens, and the number of their label in `LABELS`."""

    premise: Sentence
    hypothesis: Sentence
    label: int


def read_labelled_pairs(text: str, where: str = "the text") -> list[LabelledPair]:
    """Reads label, premise and hypothesis between tabs from each line behind the first (section 16.4).

    Parentheses are left out, and so are pairs with the label "-".

    Raises:
      InputError: a line has fewer columns, or another label.
    """
    pairs = []
    for number, line in enumerate(text.splitlines()[1:], 2):
        label, *sentences = line.split("\t")[:3]
        if label == "-":
            continue
        if label not in LABELS or len(sentences) < 2:
            raise InputError(
                f"line {number} of {where}: one of {', '.join(LABELS)}, a tab, and two sentences are right"
            )
        premise, hypothesis = (re.sub(r"[()]", " ", sentence).split() for sentence in sentences)
        pairs.append(LabelledPair(premise, hypothesis, LABELS.index(label)))
    return pairs


def trimmed(tokens_a: Sentence, tokens_b: Sentence, most: int) -> tuple[Sentence, Sentence]:
    """Takes tokens off the end of the longer sentence, of the second where both are equal, until `most` are left."""
    first = len(tokens_a)
    second = len(tokens_b)
    while first + second > most:
        if first > second:
            first -= 1
        else:
            second -= 1
    return tokens_a[:first], tokens_b[:second]


def encode_pairs(
    pairs: Sequence[tuple[Sentence, Sentence]], vocab: Vocab, max_len: int = 128
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Encodes pairs between `<cls>` and `<sep>`, trimmed and padded to `max_len` tokens, in lower case.

    Returns:
      tokens and segments int32 (N, max_len), lengths int32 (N,).

    Raises:
      InputError: `max_len` leaves no token of a pair.
    """
    if max_len < 5:
        raise InputError(f"pairs of {max_len} tokens hold no words; 5 or more are right")
    tokens = np.full((len(pairs), max_len), vocab[PAD], np.int32)
    segments = np.zeros((len(pairs), max_len), np.int32)
    lengths = np.zeros(len(pairs), np.int32)
    for row, pair in enumerate(pairs):
        premise, hypothesis = ([word.lower() for word in sentence] for sentence in pair)
        words, segment = tokens_and_segments(*trimmed(premise, hypothesis, max_len - 3))
        tokens[row, : len(words)] = vocab[words]
        segments[row, : len(words)] = segment
        lengths[row] = len(words)
    return tokens, segments, lengths
