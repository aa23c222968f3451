"""Frequencies that a model holds in a short table, spaced otherwise: evenly, by one ratio, times pi, one step later."""

import math
from collections.abc import Iterator

import numpy as np

NEAR = 1e-5  # tables have the digits of float32
LEAST = 3
CAUSE = "frequencies"


def other_spacings(table: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yields a table's neighbours, as (cause, line for people, table), where its numbers are spaced regularly."""
    flat = table.ravel().astype(np.float64)
    if flat.size < LEAST or flat.size != max(table.shape) or not np.isfinite(flat).all() or flat[0] <= 0:
        return
    first, last = flat[0], flat[-1]
    even, geometric = np.linspace(first, last, flat.size), np.geomspace(first, last, flat.size) if last > 0 else flat
    if _same(flat, geometric) and first != last:
        yield CAUSE, "Flax's frequencies are spaced evenly, PyTorch's by one ratio, between the same two", even
        ratio = flat[1] / first
        for factor, when in ((ratio, "later"), (1 / ratio, "earlier")):
            yield CAUSE, f"Flax's frequencies begin one step of their series {when} than PyTorch's", flat * factor
    elif _same(flat, even) and first != last:
        yield CAUSE, "Flax's frequencies are spaced by one ratio, PyTorch's evenly, between the same two", geometric
    else:
        return
    for factor, words in ((math.pi, "pi"), (2 * math.pi, "2 pi"), (1 / math.pi, "1 / pi"), (0.5 / math.pi, "1 / 2 pi")):
        yield CAUSE, f"Flax's frequencies are PyTorch's times {words}", flat * factor


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, rtol=NEAR, atol=0.0))
