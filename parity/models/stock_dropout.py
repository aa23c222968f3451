"""Calls of Flax's own dropout, each of which can be left out, its factor for what is kept included."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx
from flax.linen import attention as linen_attention
from flax.nnx.nn import attention as nnx_attention

from parity.models.random_shapes import Shape

WEIGHTS = "dot_product_attention_weights"  # attention's dropout is within


@dataclass
class DropoutCall:
    """A call that is going on.

    multiplies: by the mask, divided by the share that is kept: a mask of that share changes nothing
    left_out:   it gives back what it is given
    """

    multiplies: bool
    left_out: bool = False

    def mask(self, shape: Shape, keep: Any) -> jax.Array:
        """Returns a mask that drops nothing."""
        self.left_out = True
        return jnp.full(shape, keep) if self.multiplies else jnp.ones(shape, bool)


@contextmanager
def dropout_calls() -> Iterator[list[DropoutCall]]:
    """Lists the calls that are going on within the block, the innermost last."""
    going: list[DropoutCall] = []

    def layer(stock: Callable) -> Callable:
        @functools.wraps(stock)
        def __call__(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            with _begun(going, multiplies=False) as call:
                outputs = stock(self, inputs, *args, **kwargs)
            return inputs if call.left_out else outputs

        return __call__

    def weights(stock: Callable) -> Callable:
        @functools.wraps(stock)
        def function(*args: Any, **kwargs: Any) -> Any:
            with _begun(going, multiplies=True):
                return stock(*args, **kwargs)

        return function

    with ExitStack() as replaced:
        for kind in (nnx.Dropout, linen.Dropout):
            replaced.enter_context(_replaced(kind, "__call__", layer))
        for module in (nnx_attention, linen_attention):
            replaced.enter_context(_replaced(module, WEIGHTS, weights))
        yield going


@contextmanager
def _begun(going: list[DropoutCall], multiplies: bool) -> Iterator[DropoutCall]:
    going.append(DropoutCall(multiplies))
    try:
        yield going[-1]
    finally:
        going.pop()


@contextmanager
def _replaced(owner: Any, name: str, made: Callable[[Callable], Callable]) -> Iterator[None]:
    stock = getattr(owner, name)
    setattr(owner, name, made(stock))
    try:
        yield
    finally:
        setattr(owner, name, stock)
