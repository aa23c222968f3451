"""Softmax along the last axis, its logarithm and cross-entropies, with reductions that XLA:CPU is fast at."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer

from d2l_jax.cpu.sums import wide
from d2l_jax.cpu.switch import kept_on_cpu
from d2l_jax.cpu.thresholds import LONG_ROW

Scores = Float[Array, "*batch classes"]
Column = Float[Array, "*batch 1"]


def softmax(scores: Scores) -> Scores:
    """Softmax over the last axis, as `jax.nn.softmax`."""
    return kept_on_cpu(_softmax, jax.nn.softmax, scores)


def log_softmax(scores: Scores) -> Scores:
    """The logarithm of the softmax over the last axis, as `jax.nn.log_softmax`."""
    beyond = scores - _largest(scores)
    return beyond - _log_sum_exp(beyond)


def cross_entropies(scores: Scores, labels: Integer[Array | np.ndarray, "*batch"]) -> Float[Array, "*batch"]:
    """Minus the logarithm of each label's softmax; NaN for a label outside of the classes."""
    most = _largest(scores)
    labelled = jnp.take_along_axis(scores, jnp.asarray(labels)[..., None], -1) - most
    return (_log_sum_exp(scores - most) - labelled)[..., 0]


def _largest(x: Scores) -> Column:
    """The largest of each row, without a derivative; it may miss NaN, which comes back once subtracted from the row.

    A maximum that hands NaN on, as `jnp.max`, is not vectorised by XLA:CPU along the last axis; YNNPACK has one that
    is, but its sums are wrong (`compile.py`), and the two come together.
    """
    return kept_on_cpu(_by_comparison, _max, lax.stop_gradient(x))


def _max(x: Scores) -> Column:
    return x.max(-1, keepdims=True)


def _by_comparison(x: Scores) -> Column:
    lowest = np.array(-np.inf, x.dtype)
    return lax.reduce(x, lowest, lambda a, b: jnp.where(a > b, a, b), (x.ndim - 1,))[..., None]


def _log_sum_exp(x: Scores) -> Column:
    return jnp.log(kept_on_cpu(_by_product, _sum, jnp.exp(x)))


def _sum(x: Scores) -> Column:
    return x.sum(-1, keepdims=True)


def _by_product(x: Scores) -> Column:
    """XLA:CPU adds up a long row one number after the other."""
    if x.shape[-1] < LONG_ROW:
        return _sum(x)
    ones = jnp.ones((x.shape[-1], 1), x.dtype)
    return jnp.matmul(x, ones, precision="highest", preferred_element_type=wide(x).dtype).astype(x.dtype)


@jax.custom_jvp
def _softmax(scores: Scores) -> Scores:
    exponentials = jnp.exp(scores - _by_comparison(scores))
    return exponentials / _by_product(exponentials)


@_softmax.defjvp
def _(primals: tuple[Scores], tangents: tuple[Scores]) -> tuple[Scores, Scores]:
    """Keeps the softmax alone for the gradient."""
    (scores,), (tangent,) = primals, tangents
    weights = _softmax(scores)
    return weights, weights * (tangent - _by_product(weights * tangent))
