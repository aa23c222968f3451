"""The same words for other models: bags of contexts, paths in a tree, counts of pairs (sections 15.1, 15.2, 15.5)."""

import heapq
import itertools
from typing import NamedTuple

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.data.text.contexts import Contexts, Corpus, centers_and_contexts, draw_negatives, noise_weights, subsample
from d2l_jax.data.text.ptb import Texts
from d2l_jax.data.text.word_sets import FORM, MAX_WINDOW, NEGATIVES, Numbered, number


class Paths(NamedTuple):
    """The way from the root of a binary tree to each word (section 15.2.2).

    nodes: numbers of inner nodes, the root is the last one, 0 behind a path, int32 (words, longest)
    left:  1 where the way turns left, int8 (words, longest)
    masks: 1 for the nodes of a path, int8 (words, longest)
    """

    nodes: np.ndarray
    left: np.ndarray
    masks: np.ndarray


def bags(texts: Texts, name: str, seed: int = 0) -> Dataset:
    """Returns contexts with their centre and noise words, for CBOW.

    Returns:
      X = (contexts int32 (N, 10), how many of them count int32 (N,), centre and 5 noise words int32 (N, 6)),
      y = (labels int8 (N, 6), masks int8 (N, 6)).

    Raises:
      InputError: too few words.
    """
    numbered = number(texts)
    random = np.random.default_rng([seed, 15])
    weights = noise_weights(numbered.counts)

    def split(found: Contexts) -> Split:
        centers = found.centers[:, None]
        one = np.ones(len(centers), np.int32)
        candidates = np.concatenate(
            [centers, draw_negatives(centers, one, NEGATIVES * one, weights, random)], axis=1, dtype=np.int32
        )
        labels = np.zeros(candidates.shape, np.int8)
        labels[:, 0] = 1
        return (found.contexts, found.lengths, candidates), (labels, np.ones_like(labels))

    return _data(numbered, name, texts, [split(each) for each in _contexts(numbered, random)])


def trees(texts: Texts, name: str, seed: int = 0) -> Dataset:
    """Returns centre words with the path to one of their contexts, for hierarchical softmax.

    Returns:
      X = (centre int32 (N, 1), inner nodes int32 (N, longest)), y = (1 for left, masks), int8 (N, longest), an
      example for every pair of a centre and a context.

    Raises:
      InputError: too few words.
    """
    numbered = number(texts)
    random = np.random.default_rng([seed, 15])
    paths = huffman(numbered.counts)

    def split(found: Contexts) -> Split:
        centers = np.repeat(found.centers, found.lengths)[:, None]
        words = found.contexts[np.arange(found.contexts.shape[1]) < found.lengths[:, None]]
        return (centers, paths.nodes[words]), (paths.left[words], paths.masks[words])

    return _data(numbered, name, texts, [split(each) for each in _contexts(numbered, random)])


def pairs(texts: Texts, name: str, seed: int = 0) -> Dataset:
    """Returns pairs of words with the number of times that the second is in a window of 5 around the first, for GloVe.

    Nothing is drawn, and no occurrence dropped; pairs that never occur are left out (section 15.5.2).

    Returns:
      X = (centres int32 (N,), contexts int32 (N,)), y float32 (N,).

    Raises:
      InputError: too few words.
    """
    numbered = number(texts)
    splits = [cooccurrences(corpus, len(numbered.vocab)) for corpus in (numbered.train, numbered.test)]
    return _data(numbered, name, texts, splits)


def cooccurrences(corpus: Corpus, words: int, window: int = MAX_WINDOW) -> Split:
    """Returns ((centres, contexts), counts) of all pairs within `window` words, sorted by their numbers."""
    keys = []
    for distance in range(1, window + 1):
        together = corpus.sentence[:-distance] == corpus.sentence[distance:]
        left = corpus.words[:-distance][together].astype(np.int64)
        right = corpus.words[distance:][together].astype(np.int64)
        keys += [left * words + right, right * words + left]
    pairs, counts = np.unique(np.concatenate(keys), return_counts=True)
    return tuple(each.astype(np.int32) for each in divmod(pairs, words)), counts.astype(np.float32)


def huffman(counts: np.ndarray) -> Paths:
    """Builds the binary tree of the shortest paths for words that occur so often, and returns these (section 15.2.2).

    A word that is rarer goes to the left; of equal counts the word, or node, that is older.

    counts: of every word, (words,), 2 or more of them
    """
    words = len(counts)
    heap = [(count, number) for number, count in enumerate(counts.tolist())]
    heapq.heapify(heap)
    parents = np.zeros(2 * words - 1, int)
    is_left = np.zeros(2 * words - 1, np.int8)
    for node in itertools.count(words):
        few, left = heapq.heappop(heap)
        many, right = heapq.heappop(heap)
        parents[[left, right]] = node
        is_left[left] = 1
        if not heap:
            break
        heapq.heappush(heap, (few + many, node))
    root = 2 * words - 2
    ways = [list(_upwards(word, parents, root))[::-1] for word in range(words)]
    nodes = np.zeros((words, max(map(len, ways))), np.int32)
    left = np.zeros(nodes.shape, np.int8)
    masks = np.zeros(nodes.shape, np.int8)
    for word, way in enumerate(ways):
        nodes[word, : len(way)] = [parents[child] - words for child in way]
        left[word, : len(way)] = is_left[way]
        masks[word, : len(way)] = 1
    return Paths(nodes, left, masks)


def _upwards(child: int, parents: np.ndarray, root: int):
    while child != root:
        yield child
        child = int(parents[child])


def _contexts(numbered: Numbered, random: np.random.Generator) -> list[Contexts]:
    corpora = [subsample(corpus, numbered.counts, random) for corpus in (numbered.train, numbered.test)]
    return [centers_and_contexts(corpus, MAX_WINDOW, random) for corpus in corpora]


def _data(numbered: Numbered, name: str, texts: Texts, splits: list[Split]) -> Dataset:
    return Dataset(name, splits[0], splits[1], texts.source, vocabs=(numbered.vocab,), form=FORM)
