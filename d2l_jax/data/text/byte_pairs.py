"""Merges of bytes, learned from the pieces of a text (book, second edition, chapter 9)."""

from collections import Counter
from collections.abc import Callable, Sequence

from d2l_jax.data.text.bpe import merged

Token = bytes
Pair = tuple[Token, Token]


def learn_merges(texts: Sequence[str], count: int, cut: Callable[[str], list[str]]) -> list[Pair]:
    """Merges the most frequent pair of neighbours `count` times, or until there is none.

    Overlapping pairs count, too; of pairs that are as frequent the first one is merged, from left to right.

    cut: text -> the pieces within which is merged
    """
    frequency = Counter(piece for text in texts for piece in cut(text))
    split = {piece: [bytes([byte]) for byte in piece.encode()] for piece in frequency}
    pairs: Counter[Pair] = Counter()
    where: dict[Pair, set[str]] = {}
    for piece in split:
        _count(piece, split, frequency, pairs, where, 1)
    merges: list[Pair] = []
    while len(merges) < count:
        most = max(pairs.values(), default=0)
        if most < 1:
            break
        best = _first_seen({pair for pair, number in pairs.items() if number == most}, split)
        merges.append(best)
        for piece in list(where[best]):
            _count(piece, split, frequency, pairs, where, -1)
            split[piece] = merged(split[piece], best)
            _count(piece, split, frequency, pairs, where, 1)
        del pairs[best]
    return merges


def _count(piece: str, split: dict, frequency: Counter, pairs: Counter, where: dict, sign: int) -> None:
    parts = split[piece]
    for pair in zip(parts, parts[1:]):
        pairs[pair] += sign * frequency[piece]
        places = where.setdefault(pair, set())
        places.add(piece) if sign > 0 else places.discard(piece)


def _first_seen(tied: set[Pair], split: dict[str, list[Token]]) -> Pair:
    if len(tied) == 1:
        return next(iter(tied))
    return next(pair for parts in split.values() for pair in zip(parts, parts[1:]) if pair in tied)
