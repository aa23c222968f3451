"""Matrix products whose leading axes are one."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.cpu.bilinear import bilinear
from d2l_jax.cpu.direct import correlate
from d2l_jax.cpu.materialised import materialised
from d2l_jax.cpu.switch import on_cpu
from d2l_jax.cpu.thresholds import NARROW_SIDE

Matrix = Float[Array, "rows inputs"]
OfRows = Float[Array, "rows outputs"]
Kernel = Float[Array, "inputs outputs"]


def dot_general(lhs: Array, rhs: Array, dimension_numbers: Any, **options: Any) -> Array:
    """`lax.dot_general` in the form that `nnx.Linear` calls: (*batch, in) times (in, out)."""
    plain = partial(lax.dot_general, dimension_numbers=dimension_numbers, **options)
    precision = options.pop("precision", None)
    known = rhs.ndim == 2 and dimension_numbers == (((lhs.ndim - 1,), (0,)), ((), ()))
    if not (known and both_floating(lhs, rhs)) or any(value is not None for value in options.values()):
        return plain(lhs, rhs)
    return on_cpu(partial(matmul, precision=precision), plain, lhs, rhs)


def both_floating(lhs: Array, rhs: Array) -> bool:
    """True where both are of one floating-point type, for which the other forms are."""
    return lhs.dtype == rhs.dtype and jnp.issubdtype(lhs.dtype, jnp.floating)


def matmul(
    x: Float[Array, "*batch inputs"], w: Kernel, precision: lax.PrecisionLike = None
) -> Float[Array, "*batch outputs"]:
    """x @ w as one product of two matrices.

    The gradient of the kernel then sums over one axis, not over several, which XLA:CPU does about five times as fast.
    """
    return _bound(x.reshape(-1, x.shape[-1]), w, precision=precision).reshape(*x.shape[:-1], w.shape[1])


def _dense_product(x: Matrix, w: Kernel, precision: Any) -> OfRows:
    return lax.dot_general(x, w, (((1,), (0,)), ((), ())), precision=precision)


def _of_rows(g: OfRows, w: Kernel, shape: tuple[int, ...], precision: Any) -> Matrix:
    return lax.dot_general(g, w, (((1,), (1,)), ((), ())), precision=precision)


def _of_kernel(x: Matrix, g: OfRows, shape: tuple[int, ...], precision: Any) -> Kernel:
    if min(shape) > NARROW_SIDE:
        return lax.dot_general(x, g, (((0,), (0,)), ((), ())), precision=precision)
    return _across(x, g, precision) if shape[0] <= shape[1] else _across(g, x, precision).T


def _across(left: Matrix, right: OfRows, precision: Any) -> Kernel:
    """left.T @ right as a convolution over one pixel, `left` transposed in memory before.

    XLA:CPU's product gathers few columns of many rows piece by piece, in up to twice the time; it would take a
    transposition back into the product, but not into a convolution.
    """
    pixels = materialised(left).T[:, None, None]
    return correlate(pixels, right[None, None], (1, 1), "VALID", precision)[:, 0, 0]


_bound = bilinear(_dense_product, _of_rows, _of_kernel)
