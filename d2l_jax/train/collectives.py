"""What devices send each other in a step, counted in the program that the compiler has made of it."""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

KINDS = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute|collective-broadcast"
# An operation and its result: %all-reduce.1 = (f32[3,2]{1,0}, f32[2]{0}) all-reduce(...)
OPERATION = re.compile(rf"= (?P<result>.+?) (?P<kind>{KINDS})(-start)?\(")
ARRAY = re.compile(r"(?P<dtype>pred|bf16|[a-z]+(?P<bits>\d+))[a-z0-9]*\[(?P<shape>[\d,]*)\]")


class Collective(NamedTuple):
    """The operations of one kind in a program.

    operations: how many the program calls
    arrays:     how many arrays they give to each device
    bytes:      of these arrays together
    """

    operations: int
    arrays: int
    bytes: int


def collectives(step: Callable, *arguments: Any) -> dict[str, Collective]:
    """Counts the collectives of a jitted step by kind, "all-reduce" and the like, as it is compiled for `arguments`.

    One in the body of a loop is counted once. A program for one device has none.
    """
    return collectives_in(step.lower(*arguments).compile().as_text())  # type: ignore[attr-defined]


def collectives_in(program: str) -> dict[str, Collective]:
    """Counts the collectives by kind in the text of a compiled program."""
    counts = dict[str, Collective]()
    for match in OPERATION.finditer(program):
        arrays = list(ARRAY.finditer(match["result"]))
        before = counts.get(match["kind"], Collective(0, 0, 0))
        size = sum(map(_bytes, arrays))
        counts[match["kind"]] = Collective(before.operations + 1, before.arrays + len(arrays), before.bytes + size)
    return counts


def _bytes(array: re.Match) -> int:
    bits = {"pred": 8, "bf16": 16}.get(array["dtype"]) or int(array["bits"])
    return math.prod(int(n) for n in array["shape"].split(",") if n) * bits // 8
