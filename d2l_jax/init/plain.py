"""Initialisers that draw every element from one distribution, whatever the shape."""

import statistics

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer


def uniform(a: float = 0.0, b: float = 1.0) -> Initializer:
    """An initialiser uniform on [a, b); that of `jax.nn.initializers` begins at 0. Raises: ValueError if a > b."""
    if a > b:
        raise ValueError(f"a must not be greater than b, got a = {a} and b = {b}")

    def init(key, shape, dtype=None, out_sharding=None):
        return jax.random.uniform(key, shape, dtype, a, b)

    return init


def normal(mean: float = 0.0, std: float = 1.0) -> Initializer:
    """An initialiser from a normal distribution, N(mean, std**2). Raises: ValueError if std < 0."""
    if std < 0:
        raise ValueError(f"std must not be negative, got {std}")

    def init(key, shape, dtype=None, out_sharding=None):
        return mean + std * jax.random.normal(key, shape, dtype)

    return init


def trunc_normal(mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Initializer:
    """An initialiser from a normal distribution that is restricted to [a, b].

    The bounds are values, not multiples of std, and std is that of the normal before it is cut:
    `jax.nn.initializers.truncated_normal` takes multiples, `variance_scaling` corrects std.

    Raises: ValueError if std <= 0 or a >= b.
    """
    if std <= 0 or a >= b:
        raise ValueError(f"std > 0 and a < b are wanted, got std = {std}, a = {a} and b = {b}")
    low = (a - mean) / std
    high = (b - mean) / std
    bell = statistics.NormalDist()
    # The inverse of the distribution function has no digits left in float32 where little of the bell remains.
    standard = _inverted if bell.cdf(high) - bell.cdf(low) > 0.3 else _rejected

    def init(key, shape, dtype=None, out_sharding=None):
        dtype = jnp.zeros((), dtype).dtype
        return jnp.clip(mean + std * standard(key, low, high, shape, dtype), a, b)

    return init


def _inverted(key, low, high, shape, dtype):
    return jax.random.truncated_normal(key, low, high, shape, dtype)


def _rejected(key, low, high, shape, dtype):
    """Draws by rejection: uniform proposals, accepted with probability density / largest density in the bounds."""
    peak = max(low, min(0.0, high)) ** 2

    def propose(state):
        key, x, pending = state
        key, where, accept = jax.random.split(key, 3)
        x = jnp.where(pending, jax.random.uniform(where, shape, dtype, low, high), x)
        refused = jnp.log(jax.random.uniform(accept, shape, dtype)) > (peak - x**2) / 2
        return key, x, pending & refused

    start = key, jnp.zeros(shape, dtype), jnp.ones(shape, bool)
    return jax.lax.while_loop(lambda state: jnp.any(state[2]), propose, start)[1]
