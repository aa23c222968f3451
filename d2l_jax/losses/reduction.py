"""How a loss per element becomes the result, and the checks that every loss begins with."""

import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from d2l_jax.errors import one_of

REDUCTIONS = ("none", "sum", "mean")


def check_reduction(reduction: str, known: tuple[str, ...] = REDUCTIONS) -> None:
    """Raises InputError if `reduction` is not among the `known` ones."""
    if reduction not in known:
        raise one_of("reduction", reduction, list(known))


def reduce(loss: Float[Array, "..."], reduction: str, total: Array | None = None) -> Float[Array, "..."]:
    """`loss` itself, its sum, or its sum over `total` (default: the number of its elements)."""
    check_reduction(reduction)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return jnp.sum(loss)
    return jnp.mean(loss) if total is None else jnp.sum(loss) / total


def same_shape(**arrays: Array) -> None:
    """Refuses arrays whose shapes differ: (n,) and (n, 1) would broadcast to (n, n) without a word."""
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError("shapes must be equal, but " + ", ".join(f"{name} has {s}" for name, s in shapes.items()))


def fits(name: str, array: Array | None, shape: tuple[int, ...]) -> None:
    """Refuses an `array` that cannot be broadcast to `shape`, or that would enlarge it."""
    if array is None:
        return
    try:
        enlarged = jnp.broadcast_shapes(array.shape, shape) != shape
    except ValueError:
        enlarged = True
    if enlarged:
        raise ValueError(f"{name} has shape {array.shape}, which cannot be broadcast to {shape}")


def refuse(wrong: Bool[Array, "..."], message: str) -> None:
    """Raises ValueError if anything is `wrong`; under `jax.jit`, where values are not known, nothing is checked."""
    if not isinstance(wrong, Tracer) and bool(jnp.any(wrong)):
        raise ValueError(message)
