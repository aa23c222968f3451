"""Words with their contexts and with noise words, for word vectors (book, section 15.3).

Everything is drawn from the generator that is passed, so that both frameworks see the same.
"""

from typing import NamedTuple

import numpy as np

from d2l_jax.errors import InputError

REDRAWS = 1000
POWER = 0.75


class Corpus(NamedTuple):
    """Sentences as one sequence of words' numbers.

    words:    int32 (n,)
    sentence: the number of each word's sentence, ascending, int32 (n,)
    """

    words: np.ndarray
    sentence: np.ndarray

    def keep(self, mask: np.ndarray) -> "Corpus":
        """Returns the corpus of the words that the mask, bool (n,), is true for."""
        return Corpus(self.words[mask], self.sentence[mask])


class Contexts(NamedTuple):
    """Centre words, each with its contexts.

    centers:  int32 (n,)
    contexts: from left to right, 0 behind them, int32 (n, 2 * max_window)
    lengths:  the number of contexts, int32 (n,)
    """

    centers: np.ndarray
    contexts: np.ndarray
    lengths: np.ndarray


class SkipGrams(NamedTuple):
    """A padded batch of contexts and noise words (section 15.3.5).

    contexts_negatives: contexts, noise words, then 0, int32 (n, width)
    masks:  1 for what is no padding, int8 (n, width)
    labels: 1 for contexts, int8 (n, width)
    """

    contexts_negatives: np.ndarray
    masks: np.ndarray
    labels: np.ndarray


def subsample(corpus: Corpus, counts: np.ndarray, random: np.random.Generator, threshold: float = 1e-4) -> Corpus:
    """Drops occurrences of frequent words: each stays with probability min(1, sqrt(threshold * total / count)).

    counts: of every word, float (words,); a word of count 0, as `<unk>`, goes altogether (section 15.3.2)
    """
    share = np.sqrt(threshold * counts.sum() / np.maximum(counts, 1)) * (counts > 0)
    return corpus.keep(random.random(len(corpus.words)) < share[corpus.words])


def centers_and_contexts(corpus: Corpus, max_window: int, random: np.random.Generator) -> Contexts:
    """Returns every word of the sentences of two words or more with the words around it (section 15.3.3).

    The window of each centre is drawn from 1 to `max_window`.

    Raises:
      InputError: `max_window` is below 1, or no sentence has two words.
    """
    if max_window < 1:
        raise InputError(f"a window of {max_window} words has no context; give 1 or more")
    size = np.bincount(corpus.sentence) if len(corpus.sentence) else np.zeros(1, int)
    corpus = corpus.keep(size[corpus.sentence] > 1)
    n = len(corpus.words)
    if n == 0:
        raise InputError("the corpus holds no sentence of two frequent words; a longer text is right")
    window = random.integers(1, max_window + 1, n)
    offsets = np.delete(np.arange(-max_window, max_window + 1), max_window)
    places = np.arange(n)[:, None] + offsets
    inside = np.clip(places, 0, n - 1)
    there = (places == inside) & (abs(offsets) <= window[:, None])
    there &= corpus.sentence[inside] == corpus.sentence[:, None]
    order = np.argsort(~there, axis=1, kind="stable")
    contexts = np.take_along_axis(np.where(there, corpus.words[inside], 0), order, axis=1)
    return Contexts(corpus.words, contexts.astype(np.int32), there.sum(1, dtype=np.int32))


def noise_weights(counts: np.ndarray, first: int = 1, power: float = POWER) -> np.ndarray:
    """Returns the probabilities of the noise words, count to the power 0.75, float64 (words,) (section 15.3.4).

    first: words before it are never drawn. The book begins with 1, since it takes 0 for `<unk>`; where a vocabulary is
           sorted, 0 is an ordinary word

    Raises:
      InputError: no word is left.
    """
    weights = np.where(np.arange(len(counts)) < first, 0, np.asarray(counts, float) ** power)
    if not weights.sum() > 0:
        raise InputError("there are no noise words; a vocabulary of at least two frequent words is right")
    return weights / weights.sum()


def draw_negatives(
    contexts: np.ndarray, lengths: np.ndarray, counts: np.ndarray, weights: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Draws noise words for each row of contexts, none of which is among these: int32 (n, max(counts)), 0 behind them.

    contexts: int (n, width), of which the first `lengths` of a row count
    counts:   how many noise words a row gets, int (n,)
    weights:  probabilities of the words

    Raises:
      InputError: a row's contexts leave no noise word.
    """
    width = int(counts.max(initial=0))
    wanting = np.arange(width) < counts[:, None]
    rows, columns = np.nonzero(wanting)
    negatives = np.zeros(wanting.shape, np.int32)
    padded = np.where(np.arange(contexts.shape[1]) < lengths[:, None], contexts, -1)
    bounds = np.cumsum(weights)
    last = int(np.flatnonzero(weights)[-1])
    for _ in range(REDRAWS):
        drawn = np.searchsorted(bounds, random.random(len(rows)), side="right").clip(max=last)
        clash = np.zeros(len(rows), bool)
        for column in padded.T:
            clash |= drawn == column[rows]
        negatives[rows[~clash], columns[~clash]] = drawn[~clash]
        rows = rows[clash]
        columns = columns[clash]
        if not len(rows):
            return negatives
    raise InputError("the contexts of a word hold every noise word; a larger vocabulary is right")


def batchify(contexts: np.ndarray, lengths: np.ndarray, negatives: np.ndarray, counts: np.ndarray) -> SkipGrams:
    """Puts contexts and noise words into one array, padded to the longest row (section 15.3.5).

    lengths, counts: how many contexts and noise words of each row count, int (n,)
    """
    together = lengths + counts
    width = int(together.max(initial=0))
    places = np.arange(width)
    masks = places < together[:, None]
    labels = places < lengths[:, None]
    rows = np.zeros(masks.shape, np.int32)
    rows[labels] = contexts[np.arange(contexts.shape[1]) < lengths[:, None]]
    rows[masks & ~labels] = negatives[np.arange(negatives.shape[1]) < counts[:, None]]
    return SkipGrams(rows, masks.astype(np.int8), labels.astype(np.int8))
