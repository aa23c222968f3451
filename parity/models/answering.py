"""JAX's functions that draw, replaced within a block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
from flax.core.scope import Scope

from parity.models.random_shapes import Shape
from parity.models.stock_dropout import dropout_calls


@contextmanager
def answering(answer: Callable[..., Any]) -> Iterator[None]:
    """Hands every request of JAX's within the block to `answer(shape, normal, uniform=False, stock=False)`.

    stock: it is made by Flax's own dropout, which drops nothing where the answer is None
    """

    def bernoulli(key: Any, p: Any = 0.5, shape: Shape | None = None, **_: Any) -> jax.Array:
        shape = tuple(jax.numpy.shape(p) if shape is None else shape)
        values = answer(shape, False, stock=bool(going))
        return going[-1].mask(shape, p) if values is None else values < p

    def uniform(key: Any, shape: Shape = (), dtype: Any = None, minval: float = 0.0, maxval: float = 1.0, **_: Any):
        values = answer(tuple(shape), False, uniform=True)
        return (minval + values * (maxval - minval)).astype(dtype or values.dtype)

    def normal(key: Any, shape: Shape = (), dtype: Any = None, **_: Any) -> jax.Array:
        values = answer(tuple(shape), True)
        return values.astype(dtype or values.dtype)

    with dropout_calls() as going, _drawing(bernoulli, uniform, normal) as stock, _starting_with(*stock):
        yield


@contextmanager
def _drawing(*functions: Callable) -> Iterator[tuple[Callable, ...]]:
    """Has JAX draw by the functions within the block, which is given those that they replace."""
    stock = jax.random.bernoulli, jax.random.uniform, jax.random.normal
    jax.random.bernoulli, jax.random.uniform, jax.random.normal = functions
    try:
        yield stock
    finally:
        jax.random.bernoulli, jax.random.uniform, jax.random.normal = stock


@contextmanager
def _starting_with(*stock: Callable) -> Iterator[None]:
    """Has Linen start parameters with the functions: it does so to see their shapes, whenever a module has them."""
    param = Scope.param

    def started(self: Scope, *args: Any, **kwargs: Any) -> Any:
        with _drawing(*stock):
            return param(self, *args, **kwargs)

    Scope.param = started
    try:
        yield
    finally:
        Scope.param = param
