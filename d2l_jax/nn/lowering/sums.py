"""Several sums over the same numbers in one pass."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.nn.lowering.switch import on_cpu

Terms = tuple[Float[Array, "*size features"], ...]
Sums = tuple[Float[Array, " features"], ...]


def sums(*terms: Float[Array, "*size features"]) -> Sums:
    """Each one's sum over all axes but the last; bfloat16 is summed in float32.

    On a CPU all sums along the last axis but one run in one loop: what they are made from is read once and not for
    each, in half the time. What is left is small.
    """
    wide = jnp.promote_types(terms[0].dtype, jnp.float32)
    found = on_cpu(_in_one_loop, partial(_each, axes=range(terms[0].ndim - 1)), tuple(x.astype(wide) for x in terms))
    return tuple(total.astype(terms[0].dtype) for total in found)


def _each(terms: Terms, axes: range) -> Sums:
    return tuple(x.sum(tuple(axes)) for x in terms)


def _in_one_loop(terms: Terms) -> Sums:
    def added(one: Any, other: Any) -> Any:
        return tuple(a + b for a, b in zip(one, other))

    nothing, along = (jnp.zeros((), terms[0].dtype),) * len(terms), terms[0].ndim - 2
    lines = lax.reduce(terms, nothing, added, (along,))
    return _each(lines, range(along))
