"""The pieces of a text within which bytes are merged: GPT-2's pattern, with Unicode's letters and numbers."""

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache

# White space as Unicode defines it; that of `re` holds four control characters more.
SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def pieces(text: str) -> list[str]:
    """Cuts a text as GPT-2 does: English endings, letters, numbers and other marks, each with a space before it."""
    return _pattern().findall(text)


@cache
def _pattern() -> re.Pattern[str]:
    letters = _ranges(_of_category("L"))
    numbers = _ranges(_of_category("N"))
    return re.compile(
        f"'(?:s|t|re|ve|m|ll|d)| ?[{letters}]+| ?[{numbers}]+| ?[^{SPACES}{letters}{numbers}]+"
        f"|[{SPACES}]+(?![^{SPACES}])|[{SPACES}]+"
    )


def _of_category(category: str) -> Iterable[int]:
    return (point for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point))[0] == category)


def _ranges(points: Iterable[int]) -> str:
    """Returns the inside of a character class that holds the code points, which ascend."""
    ranges: list[list[int]] = []
    for point in points:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
