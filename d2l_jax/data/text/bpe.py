"""Byte pair encoding as the book has it: merges of symbols, and greedy segmentation (section 15.6.2)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from d2l_jax.errors import InputError

UNKNOWN = "[UNK]"
Part = TypeVar("Part", str, bytes)
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz_")


class BytePairs(NamedTuple):
    """Symbols that were learned.

    symbols: the first ones, `[UNK]`, then one for every merge
    merges:  the pairs, in the order in which they were merged
    tokens:  every word as its symbols with spaces between, and how often it occurs
    """

    symbols: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    tokens: dict[str, int]

    def segment(self, words: Iterable[str]) -> list[str]:
        """Returns every word as the longest symbols from left to right, with spaces between.

        Where no symbol fits, `[UNK]` stands for the rest of the word.
        """
        return segment_BPE(words, self.symbols)


def learn_bpe(words: Mapping[str, int], num_merges: int, symbols: Sequence[str] = LETTERS) -> BytePairs:
    """Merges the most frequent pair of neighbouring symbols, `num_merges` times or until there is none.

    Of pairs that are as frequent, the one that is seen first is merged.

    words:   how often each occurs, {"fast_": 4, ...}; "_" ends a word
    symbols: those to begin with

    Raises:
      InputError: the number of merges is negative, or a word is empty, holds a space, or has a negative count.
    """
    if num_merges < 0:
        raise InputError(f"{num_merges} merges; give 0 or more")
    for word, count in words.items():
        if not word or " " in word or count < 0:
            raise InputError(f"{word!r}: {count} is no word with its count; words without spaces are right")
    split = {word: list(word) for word in words}
    merges: list[tuple[str, str]] = []
    for _ in range(num_merges):
        pairs = pair_counts(split, words)
        if not pairs:
            break
        merges.append(max(pairs, key=pairs.__getitem__))  # the first of the largest
        split = {word: merged(parts, merges[-1]) for word, parts in split.items()}
    learned = dict.fromkeys([*symbols, UNKNOWN, *map("".join, merges)])
    tokens = {" ".join(parts): words[word] for word, parts in split.items()}
    return BytePairs(tuple(learned), tuple(merges), tokens)


def pair_counts(split: Mapping[str, Sequence[str]], words: Mapping[str, int]) -> Counter[tuple[str, str]]:
    """Counts pairs of neighbouring symbols, each as often as its word occurs; what is seen first comes first."""
    pairs: Counter[tuple[str, str]] = Counter()
    for word, parts in split.items():
        for pair in zip(parts, parts[1:]):
            pairs[pair] += words[word]
    return pairs


def merged(parts: Sequence[Part], pair: tuple[Part, Part]) -> list[Part]:
    """Returns the symbols with the pair as one symbol wherever it stands, from left to right."""
    result: list[Part] = []
    place = 0
    while place < len(parts):
        if tuple(parts[place : place + 2]) == pair:
            result.append(pair[0] + pair[1])
            place += 2
        else:
            result.append(parts[place])
            place += 1
    return result


def segment_BPE(words: Iterable[str], symbols: Iterable[str]) -> list[str]:  # noqa: N802, the book's name
    """Returns every word as the longest `symbols` from left to right, with spaces between (section 15.6.2).

    Where no symbol fits, `[UNK]` stands for the rest of the word.
    """
    known = set(symbols)
    outputs = []
    for word in words:
        parts = []
        start = 0
        while start < len(word):
            end = next((end for end in range(len(word), start, -1) if word[start:end] in known), None)
            if end is None:
                parts.append(UNKNOWN)
                break
            parts.append(word[start:end])
            start = end
        outputs.append(" ".join(parts))
    return outputs
