"""Several sums over the same numbers in one pass."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.cpu.switch import on_cpu
from d2l_jax.cpu.thresholds import LINE_LONGEST, LINE_SHORTEST, ROW_LONGEST, SUMS_AT_ONCE

Activations = Float[Array, "*size features"]
Features = Float[Array, " features"]
Lines = tuple[Float[Array, "*lines features"], ...]


def sums(*terms: Activations) -> tuple[Features, ...]:
    """The sum of each term over all axes but the last, in float32 at least.

    On a CPU the sums along a line run in one loop, which reads once from memory what the terms share. The sums of the
    lines are small.
    """
    return on_cpu(_in_one_loop, _one_by_one, tuple(map(wide, terms)))


def moments(x: Activations) -> tuple[Features, Features]:
    """The mean and the biased variance over all axes but the last, in float32 at least.

    On a CPU in one pass: of each line the sum and the squares of what lies beyond its first value, which costs no more
    precision than a line is long; lines are joined by their means (Chan, Golub and LeVeque 1983).
    """
    return on_cpu(_joined, _one_after_the_other, wide(x))


def wide(x: Activations) -> Activations:
    """`x` in float32 at least."""
    return x.astype(np.promote_types(x.dtype, np.float32))


def _one_by_one(terms: tuple[Activations, ...]) -> tuple[Features, ...]:
    return tuple(x.sum(tuple(range(x.ndim - 1))) for x in terms)


def _in_one_loop(terms: tuple[Activations, ...]) -> tuple[Features, ...]:
    groups = [terms[i : i + SUMS_AT_ONCE] for i in range(0, len(terms), SUMS_AT_ONCE)]
    return tuple(over_rows(lines) for group in groups for lines in _along_lines(group))


def _one_after_the_other(x: Activations) -> tuple[Features, Features]:
    rows = tuple(range(x.ndim - 1))
    mean = x.mean(rows)
    return mean, jnp.square(x - lax.broadcast_to_rank(mean, x.ndim)).mean(rows)


def _joined(x: Activations) -> tuple[Features, Features]:
    count = x.size // x.shape[-1]
    x = _in_lines(x)
    length = x.shape[-2]
    first = x[..., :1, :]
    total, squares = _along_lines((x - first, jnp.square(x - first)))
    means = first[..., 0, :] + total / length
    mean = over_rows(means) * (length / count)
    within = squares - jnp.square(total) / length
    between = length * jnp.square(means - lax.broadcast_to_rank(mean, means.ndim))
    return mean, over_rows(within + between) / count


def over_rows(x: Activations) -> Features:
    """The sum over all axes but the last, as products with ones: of about as many groups as each has rows.

    XLA:CPU sums columns one number after the other, in up to ten times the time, with ten times the rounding. Short
    rows stand side by side in long ones, which are as quickly read.
    """
    features = x.shape[-1]
    count = math.prod(x.shape[:-1])
    abreast = _largest_divisor(count, ROW_LONGEST // features) if features else 1
    count //= abreast
    groups = _largest_divisor(count, math.isqrt(count))
    rows = x.reshape(groups, count // groups, abreast * features)
    ones = jnp.ones(rows.shape[:2], x.dtype)
    total = lax.dot_general(ones, rows, (((1,), (1,)), ((0,), (0,))), precision="highest")
    return total.reshape(groups * abreast, features).sum(0)


def _largest_divisor(of: int, at_most: int) -> int:
    return max((n for n in range(1, at_most + 1) if of % n == 0), default=1)


def row_means(x: Activations) -> Activations:
    """The mean over the last axis, repeated along it; on a CPU as products with ones, and so is its derivative.

    XLA:CPU adds up a row one number after the other, and what a repetition becomes in a gradient is such a sum, too.
    """
    return on_cpu(_times_ones, lambda x: jnp.broadcast_to(x.mean(-1, keepdims=True), x.shape), x)


def _times_ones(x: Activations) -> Activations:
    ones = jnp.ones((x.shape[-1], 1), x.dtype)
    total = jnp.matmul(x, ones, precision="highest")
    return jnp.matmul(total / x.shape[-1], ones.T, precision="highest")


def _along_lines(terms: tuple[Activations, ...]) -> Lines:
    def added(one: Any, other: Any) -> Any:
        return tuple(a + b for a, b in zip(one, other))

    nothing = (jnp.zeros((), terms[0].dtype),) * len(terms)
    lines = tuple(map(_in_lines, terms))
    return lax.reduce(lines, nothing, added, (lines[0].ndim - 2,))


def _in_lines(x: Activations) -> Float[Array, "*rows line features"]:
    *rows, length, features = x.shape
    line = _largest_divisor(length, LINE_LONGEST)
    return x if line < LINE_SHORTEST or line == length else x.reshape(*rows, length // line, line, features)
