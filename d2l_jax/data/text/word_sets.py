"""Data sets of words and their contexts, of the Penn Treebank or of Python's help topics (book, section 15.3)."""

import platform
import re
from typing import NamedTuple

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.data.text.contexts import (
    Contexts,
    Corpus,
    batchify,
    centers_and_contexts,
    draw_negatives,
    noise_weights,
    subsample,
)
from d2l_jax.data.text.ptb import Sentences, Texts
from d2l_jax.data.text.vocab import UNKNOWN, Vocab
from d2l_jax.errors import InputError

FORM = "words"
MIN_FREQ = 10
MAX_WINDOW = 5
NEGATIVES = 5  # for each context
HELD_OUT = 10  # of so many sentences of the help topics, one is held out


class Numbered(NamedTuple):
    """A corpus with words as numbers.

    counts: how often each word of the vocabulary occurs in the texts to train on, 0 for `<unk>`, float64 (words,)
    """

    train: Corpus
    test: Corpus
    vocab: Vocab
    counts: np.ndarray


def skip_grams(texts: Texts, name: str, seed: int = 0, second_edition: bool = False) -> Dataset:
    """Returns centre words with contexts and noise words, as section 15.3 prepares them.

    Returns:
      X = (centre int32 (N, 1), contexts and noise words int32 (N, width)), y = (labels int8 (N, width), masks int8
      (N, width)); one vocabulary. What is held out is dropped and drawn by the counts of what is trained on.

    Raises:
      InputError: too few words.
    """
    numbered = number(texts, second_edition)
    random = np.random.default_rng([seed, 15])
    weights = noise_weights(numbered.counts)
    corpora = [subsample(corpus, numbered.counts, random) for corpus in (numbered.train, numbered.test)]
    splits = [_split(corpus, weights, random) for corpus in corpora]
    width = max(split[0][1].shape[1] for split in splits)
    padded = [_wide(split, width) for split in splits]
    return Dataset(name, padded[0], padded[1], texts.source, vocabs=(numbered.vocab,), form=FORM)


def number(texts: Texts, second_edition: bool = False, min_freq: int = MIN_FREQ) -> Numbered:
    """Numbers the words that occur `min_freq` times, and leaves the others out.

    second_edition: `<unk>` comes first, then the words by their frequency, the first seen first. Where the text holds
                    a word `<unk>`, as the Penn Treebank does, the vocabulary has it twice (6,720 for 6,719 words)

    Raises:
      InputError: no word occurs so often.
    """
    vocab = Vocab(texts.train, min_freq)
    if second_edition:
        frequent = [token for token, count in vocab.token_freqs if count >= min_freq]
        vocab = Vocab.in_order([UNKNOWN, *frequent])
    train = _corpus(texts.train, vocab)
    if not len(train.words):
        raise InputError(f"{texts.source}: no word occurs {min_freq} times; a longer text is right")
    counts = np.bincount(train.words, minlength=len(vocab)).astype(float)
    return Numbered(train, _corpus(texts.test, vocab), vocab, counts)


def help_texts() -> Texts:
    """Returns the sentences of Python's help topics as lower-case words of letters; every tenth is to test on.

    The text is not the same in every version of Python; `source` names the version.
    """
    from pydoc_data.topics import topics

    lines = re.split(r"\.\s|\n\s*\n", " \n\n".join(topics.values()).lower())
    sentences = [re.findall("[a-z]+", line) for line in lines]
    test = sentences[::HELD_OUT]
    train = [sentence for place, sentence in enumerate(sentences) if place % HELD_OUT]
    return Texts(train, test, f"embedded default (help topics of Python {platform.python_version()})")


def _corpus(sentences: Sentences, vocab: Vocab) -> Corpus:
    unk = vocab.unk
    lengths = [len(sentence) for sentence in sentences]
    words = np.array([vocab[word] for sentence in sentences for word in sentence], np.int32)
    sentence = np.repeat(np.arange(len(sentences), dtype=np.int32), lengths)
    return Corpus(words, sentence).keep(words != unk)


def _split(corpus: Corpus, weights: np.ndarray, random: np.random.Generator) -> Split:
    found: Contexts = centers_and_contexts(corpus, MAX_WINDOW, random)
    counts = NEGATIVES * found.lengths
    negatives = draw_negatives(found.contexts, found.lengths, counts, weights, random)
    batch = batchify(found.contexts, found.lengths, negatives, counts)
    return (found.centers[:, None], batch.contexts_negatives), (batch.labels, batch.masks)


def _wide(split: Split, width: int) -> Split:
    """Returns the split with rows of the same width as those of the other."""
    (centers, rows), (labels, masks) = split
    more = ((0, 0), (0, width - rows.shape[1]))
    return (centers, np.pad(rows, more)), (np.pad(labels, more), np.pad(masks, more))
