"""A bilinear function whose two gradients are written out."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array


def bilinear(product: Callable, of_left: Callable, of_right: Callable) -> Callable[..., Array]:
    """`product(left, right, **static)`, linear in both, with gradients `of_left(g, right, shape of left, **static)` and
    `of_right(left, g, shape of right, **static)`.

    A primitive and no `jax.custom_vjp`, which would take forward mode, and with it Hessians, from every model. The
    gradient of a `jax.vmap` has the gradients of what `product` is made of.
    """
    primitive = Primitive(product.__name__.strip("_"))

    @cache
    def compiled(**static: Any) -> Any:
        return jax.jit(partial(product, **static))

    def shape(left: ShapedArray, right: ShapedArray, **static: Any) -> ShapedArray:
        out = compiled(**static).eval_shape(left, right)
        return ShapedArray(out.shape, out.dtype)

    def at_once(left: Array, right: Array, **static: Any) -> Array:
        return compiled(**static)(left, right)

    def batched(operands: Any, axes: Any, **static: Any) -> tuple[Array, int]:
        return jax.vmap(partial(product, **static), axes)(*operands), 0

    def towards_left(g: Array, left: Any, right: Array, **static: Any) -> Array:
        return of_left(g, right, left.aval.shape, **static)

    def towards_right(g: Array, left: Array, right: Any, **static: Any) -> Array:
        return of_right(left, g, right.aval.shape, **static)

    primitive.def_impl(at_once)
    primitive.def_abstract_eval(shape)
    mlir.register_lowering(primitive, mlir.lower_fun(product, multiple_results=False))
    ad.defbilinear(primitive, towards_left, towards_right)
    batching.primitive_batchers[primitive] = batched
    return primitive.bind
