"""The ways in which a length is the sum of some widths, and where the parts may stand."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

MOST = 8  # parts of one tensor
Widths = tuple[int, ...]
Span = tuple[int, int]


def sums(length: int, widths: Mapping[int, int], most: int = MOST) -> Iterator[Widths]:
    """Yields the widths that make up a length, the larger first.

    widths: {width: how many there are at most}
    """
    yield from _sums(length, sorted(widths, reverse=True), widths, most)


def _sums(left: int, order: Sequence[int], counts: Mapping[int, int], most: int) -> Iterator[Widths]:
    if not left:
        yield ()
    if left <= 0 or not order or not most:
        return
    width, *narrower = order
    for count in range(min(counts[width], left // width, most), -1, -1):
        for others in _sums(left - count * width, narrower, counts, most - count):
            yield (*[width] * count, *others)


def spans(length: int, widths: Mapping[int, int]) -> list[Span]:
    """Returns (first, end) of each place that one of several parts of a length may have, in any order of them."""
    found = set()
    for parts in sums(length, widths):
        for number, width in enumerate(parts if len(parts) > 1 else ()):
            starts = {0}
            for other in (*parts[:number], *parts[number + 1 :]):
                starts |= {start + other for start in starts}
            found |= {(start, start + width) for start in starts}
    return sorted(found)


def leaves_room(length: int, taken: Iterable[Span], widths: Mapping[int, int]) -> bool:
    """Tells whether what lies between these spans of a length can be made up of the widths that are left."""
    inner = sorted(taken)
    edges = [0, *(edge for span in inner for edge in span), length]
    gaps = [end - first for first, end in zip(edges[::2], edges[1::2], strict=True)]
    return _filled(gaps, Counter(widths) - Counter(end - first for first, end in inner))


def _filled(gaps: Sequence[int], counts: Counter[int]) -> bool:
    return not gaps or any(_filled(gaps[1:], counts - Counter(parts)) for parts in sums(gaps[0], counts))
