"""A bias added to every row."""

import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from d2l_jax.cpu.sums import over_rows, wide
from d2l_jax.cpu.switch import on_cpu, turned_off

_primitive = Primitive("broadcast_over_rows")


def add_bias(y: Float[Array, "*rows features"], bias: Float[Array, " features"]) -> Float[Array, "*rows features"]:
    """`y + bias`, whose gradient for the bias is, on a CPU, the sum of `over_rows`."""
    return y + over_rows_of(bias, y)


def over_rows_of(bias: Float[Array, " features"], y: Float[Array, "*rows features"]) -> Array:
    """`bias` repeated for every row of `y`; its gradient is, on a CPU, the sum of `over_rows`."""
    if turned_off():
        return lax.broadcast_to_rank(bias, y.ndim)
    return _primitive.bind(bias, rows=y.shape[:-1])


def _broadcast(bias: Array, rows: tuple[int, ...]) -> Array:
    return jnp.broadcast_to(bias, (*rows, *bias.shape))


def _sum(g: Array, rows: tuple[int, ...]) -> Array:
    def of_products(g: Array) -> Array:
        return over_rows(wide(g)).astype(g.dtype)

    return on_cpu(of_products, lambda g: g.sum(tuple(range(len(rows)))), g)


def _batched(operands: tuple[Array], axes: tuple[int], rows: tuple[int, ...]) -> tuple[Array, int]:
    biases = jnp.moveaxis(*operands, *axes, 0)
    batch, features = biases.shape
    return jnp.broadcast_to(biases.reshape(batch, *(1 for _ in rows), features), (batch, *rows, features)), 0


_primitive.def_impl(_broadcast)
_primitive.def_abstract_eval(lambda bias, rows: bias.update(shape=(*rows, *bias.shape)))
mlir.register_lowering(_primitive, mlir.lower_fun(_broadcast, multiple_results=False))
ad.deflinear2(_primitive, lambda g, _, rows: [_sum(g, rows)])
batching.primitive_batchers[_primitive] = _batched
