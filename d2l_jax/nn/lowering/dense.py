"""Matrix products whose leading axes are one."""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.nn.lowering.switch import on_cpu


def dot_general(lhs: Array, rhs: Array, dimension_numbers: Any, **options: Any) -> Array:
    """`lax.dot_general` in the form that `nnx.Linear` calls: (*batch, in) times (in, out).

    The gradient of the kernel then sums over one axis, not over several, which XLA:CPU does about five times as fast.
    """

    def plain(x: Array, w: Array) -> Array:
        return lax.dot_general(x, w, dimension_numbers, **options)

    def flat(x: Array, w: Array) -> Array:
        return matmul(x, w, options.get("precision"), options.get("preferred_element_type"))

    known = dimension_numbers == (((lhs.ndim - 1,), (0,)), ((), ()))
    return on_cpu(flat, plain, lhs, rhs) if known and lhs.ndim > 2 else plain(lhs, rhs)


def matmul(
    x: Float[Array, "*batch inputs"], w: Float[Array, "inputs outputs"], precision: Any = None, dtype: Any = None
) -> Float[Array, "*batch outputs"]:
    """x @ w as one product of two matrices."""
    flat = jnp.matmul(x.reshape(-1, x.shape[-1]), w, precision=precision, preferred_element_type=dtype)
    return flat.reshape(*x.shape[:-1], w.shape[1])
