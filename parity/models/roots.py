"""JAX's square roots with the slope 0 at 0, which is infinite in its own and makes a norm's gradient NaN there."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from parity.models.programs import bound, called, computed


def with_finite_roots(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function of arrays that computes the same, and whose gradient is finite where a norm is 0."""

    def finite(*args: Any) -> Any:
        program, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        results = computed(program.jaxpr, program.consts, jax.tree.leaves(args), _rooted, _plain)
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return finite


def _plain(equation: Any) -> bool:
    """Tells whether it is a function without slopes of its own, into which one may look."""
    return called(equation) is not None and not equation.primitive.name.startswith("custom")


def _rooted(equation: Any, given: Sequence[Any], results: Sequence[Any]) -> Sequence[Any] | None:
    if not _is_root(equation):
        return None
    x, *rest = given
    at_zero = x == 0
    (root,) = bound(equation, [jnp.where(at_zero, 1, x), *rest])
    return [jnp.where(at_zero, 0, root)]


def _is_root(equation: Any) -> bool:
    """Tells whether it is a square root, or a power between 0 and 1 that stands in the program."""
    if equation.primitive.name != "pow":
        return equation.primitive.name == "sqrt"
    power = getattr(equation.invars[1], "val", None)
    return power is not None and 0 < float(power) < 1
