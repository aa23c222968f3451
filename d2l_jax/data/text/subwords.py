"""The subwords of words, as fastText takes them (book, section 15.6.1)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from d2l_jax.errors import InputError

SHORTEST = 3
LONGEST = 6


class Subwords(NamedTuple):
    """Words as the numbers of their subwords.

    names:   of the subwords, by number
    ids:     int32 (words, most), 0 behind those of a word
    lengths: how many subwords each word has, int32 (words,)
    """

    names: tuple[str, ...]
    ids: np.ndarray
    lengths: np.ndarray


def subwords(word: str, shortest: int = SHORTEST, longest: int = LONGEST) -> list[str]:
    """Returns the different n-grams of `<word>`, n from `shortest` to `longest`, and `<word>` itself as the last.

    Raises:
      InputError: the word is empty, or the lengths are no range from 1 on.
    """
    if not word:
        raise InputError("an empty word has no subwords; a word of a letter or more is right")
    if not 1 <= shortest <= longest:
        raise InputError(f"subwords of {shortest} to {longest} letters; a range from 1 on is right")
    marked = f"<{word}>"
    lengths = range(shortest, min(longest, len(marked) - 1) + 1)
    grams = [marked[start : start + n] for n in lengths for start in range(len(marked) - n + 1)]
    return [*dict.fromkeys(grams), marked]


def number_subwords(words: Sequence[str], shortest: int = SHORTEST, longest: int = LONGEST) -> Subwords:
    """Numbers the subwords of all words in the order in which they are seen.

    Raises:
      InputError: as `subwords`, or there is no word.
    """
    if not words:
        raise InputError("there are no words to take apart; one at least is right")
    parts = [subwords(word, shortest, longest) for word in words]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(part for each in parts for part in each))}
    lengths = np.array([len(each) for each in parts], np.int32)
    ids = np.zeros((len(words), lengths.max()), np.int32)
    for row, each in zip(ids, parts):
        row[: len(each)] = [numbers[part] for part in each]
    return Subwords(tuple(numbers), ids, lengths)
