"""Pairs of sentences with masked words, on which BERT is pretrained (section 15.9 of the book)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from d2l_jax.data.dataset import Split
from d2l_jax.data.text.vocab import Vocab
from d2l_jax.errors import InputError

PAD = "<pad>"
MASK = "<mask>"
CLS = "<cls>"
SEP = "<sep>"
RESERVED = (PAD, MASK, CLS, SEP)
SHARE = 0.15  # of the tokens that are masked words
Sentence = list[str]
Paragraphs = Sequence[Sequence[Sentence]]


class SentencePairs(NamedTuple):
    """Pairs of sentences as numbers of tokens, padded.

    Attributes:
      tokens: int32 (N, max_len), `<cls>` A `<sep>` B `<sep>`, then `<pad>`.
      segments: int32 (N, max_len), 1 for B and the `<sep>` behind it, else 0.
      lengths: int32 (N,), tokens that are no padding.
      is_next: int32 (N,), 1 where B follows A in the text.
    """

    tokens: np.ndarray
    segments: np.ndarray
    lengths: np.ndarray
    is_next: np.ndarray


def tokens_and_segments(tokens_a: Sentence, tokens_b: Sentence | None = None) -> tuple[Sentence, list[int]]:
    """Returns the tokens of a sentence or a pair with their marks, and the segment of each (section 15.8)."""
    tokens = [CLS, *tokens_a, SEP]
    segments = [0] * len(tokens)
    if tokens_b is not None:
        tokens += [*tokens_b, SEP]
        segments += [1] * (len(tokens_b) + 1)
    return tokens, segments


def sentence_pairs(
    paragraphs: Paragraphs, vocab: Vocab, max_len: int = 64, *, random: np.random.Generator
) -> SentencePairs:
    """Pairs every sentence but a paragraph's last with the next one, or, for every second on average, with any.

    Any sentence is one of any paragraph, so that it may be the next one by chance. Pairs of more than `max_len` tokens
    are left out.

    Raises:
      InputError: no pair is left.
    """
    pairs = []
    for paragraph in paragraphs:
        for sentence, following in zip(paragraph, paragraph[1:]):
            is_next = random.random() < 0.5
            if not is_next:
                other = paragraphs[int(random.integers(len(paragraphs)))]
                following = other[int(random.integers(len(other)))]
            if len(sentence) + len(following) + 3 <= max_len:
                pairs.append((*tokens_and_segments(sentence, following), is_next))
    if not pairs:
        raise InputError(f"the text holds no pair of sentences of up to {max_len} tokens; a longer text is right")
    tokens = np.full((len(pairs), max_len), vocab[PAD], np.int32)
    segments = np.zeros((len(pairs), max_len), np.int32)
    for row, (words, segment, _) in enumerate(pairs):
        tokens[row, : len(words)] = vocab[words]
        segments[row, : len(words)] = segment
    lengths = np.array([len(words) for words, _, _ in pairs], np.int32)
    return SentencePairs(tokens, segments, lengths, np.array([is_next for *_, is_next in pairs], np.int32))


def masked(pairs: SentencePairs, vocab: Vocab, *, random: np.random.Generator) -> Split:
    """Masks 15 % of the tokens of each pair, one at least, never `<cls>` or `<sep>` (section 15.9).

    Of ten masked words eight become `<mask>`, one stays, and one becomes any token of the vocabulary.

    Returns:
      X = (tokens int32 (N, max_len), segments int32 (N, max_len), lengths int32 (N,), positions of the masked words
      in ascending order int32 (N, slots)), y = (the words int32 (N, slots), weights float32 (N, slots), whether B is
      the next sentence int32 (N,)). Slots that are left over have position, word and weight 0.
    """
    examples, max_len = pairs.tokens.shape
    marks = np.isin(pairs.tokens, [vocab[CLS], vocab[SEP]])
    words = ~marks & (np.arange(max_len) < pairs.lengths[:, None])
    counts = np.minimum(np.maximum(1, np.rint(SHARE * pairs.lengths)), words.sum(1))
    slots = max(1, round(SHARE * max_len))
    weights = (np.arange(slots) < counts[:, None]).astype(np.float32)
    order = np.argsort(np.where(words, random.random(words.shape), 2), axis=1)[:, :slots]
    positions = np.sort(np.where(weights > 0, order, max_len), axis=1)
    positions = np.where(weights > 0, positions, 0).astype(np.int32)
    labels = np.where(weights > 0, np.take_along_axis(pairs.tokens, positions, 1), 0).astype(np.int32)
    kind = random.random((examples, slots))
    anything = random.integers(len(vocab), size=(examples, slots), dtype=np.int32)
    inputs = np.where(kind < 0.8, vocab[MASK], np.where(kind < 0.9, labels, anything)).astype(np.int32)
    tokens = pairs.tokens.copy()
    rows, places = np.nonzero(weights)
    tokens[rows, positions[rows, places]] = inputs[rows, places]
    return (tokens, pairs.segments, pairs.lengths, positions), (labels, weights, pairs.is_next)
