"""Pairs of sentences as BERT classifies them (section 16.7 of the book)."""

from collections.abc import Sequence

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.data.text.masked import PAD, RESERVED, Sentence, tokens_and_segments
from d2l_jax.data.text.vocab import Vocab
from d2l_jax.errors import InputError

MAX_LEN = 128
KIND = "labelled_pairs"


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
    pairs: Sequence[tuple[Sentence, Sentence]], vocab: Vocab, max_len: int = MAX_LEN
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


def for_bert(data: Dataset, name: str, max_len: int = MAX_LEN) -> Dataset:
    """Joins the premises and hypotheses of `inference_data` into the pairs that BERT takes.

    The vocabulary is that of the data, with `<pad>`, `<mask>`, `<cls>` and `<sep>` reserved.

    Returns:
      X = (tokens int32 (N, max_len), segments int32 (N, max_len), lengths int32 (N,)), y int32 (N,).

    Raises:
      InputError: as `encode_pairs`.
    """
    (words,) = data.vocabs
    vocab = Vocab([list(words)], 0, RESERVED)
    train, test = (_joined(split, words, vocab, max_len) for split in (data.train, data.test))
    return Dataset(name, train, test, data.source, data.classes, vocabs=(vocab,), form=KIND)


def _joined(split: Split, words: Vocab, vocab: Vocab, max_len: int) -> Split:
    (premises, hypotheses), labels = split
    sides = [[words.to_tokens(row[row != words[PAD]]) for row in side] for side in (premises, hypotheses)]
    return encode_pairs(list(zip(*sides)), vocab, max_len), labels
