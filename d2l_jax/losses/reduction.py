"""The reduction of a loss per element to the result, and the checks that every loss begins with."""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from d2l_jax.errors import one_of

REDUCTIONS = ("none", "sum", "mean")


def check_reduction(reduction: str, known: tuple[str, ...] = REDUCTIONS) -> None:
    """Raises InputError if `reduction` is not among the `known` ones."""
    if reduction not in known:
        raise one_of("reduction", reduction, list(known))


def reduce(loss: Float[Array, "..."], reduction: str, total: Array | None = None) -> Float[Array, "..."]:
    """The `loss` itself ("none"), its sum ("sum"), or its sum / total ("mean"; by default / number of elements)."""
    check_reduction(reduction)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return jnp.sum(loss)
    return jnp.mean(loss) if total is None else jnp.sum(loss) / total


def weighted(loss: Float[Array, "*shape"], weight: Array | np.ndarray | None) -> Float[Array, "*shape"]:
    """The `loss` times the `weight`, which is broadcast to it; None weighs all alike."""
    return loss if weight is None else loss * lax.broadcast_to_rank(weight, loss.ndim)


def same_shape(**arrays: Array | np.ndarray) -> None:
    """Refuses arrays whose shapes differ: (n,) and (n, 1) would broadcast to (n, n) silently.

    Raises: ValueError that names every array and its shape.
    """
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError("shapes must be equal, but " + ", ".join(f"{name} has {s}" for name, s in shapes.items()))


def fits(name: str, array: Array | None, shape: tuple[int, ...]) -> None:
    """Raises ValueError for an `array` that cannot be broadcast to `shape`, or that would enlarge it; None fits."""
    if array is None:
        return
    try:
        enlarged = jnp.broadcast_shapes(array.shape, shape) != shape
    except ValueError:
        enlarged = True
    if enlarged:
        raise ValueError(f"{name} has shape {array.shape}, which cannot be broadcast to {shape}")


def refuse(wrong: Bool[Array | np.ndarray, "..."], message: str) -> None:
    """Raises ValueError if any element of `wrong` is True; under `jax.jit`, which hides the values, it does nothing."""
    if not isinstance(wrong, Tracer) and bool(np.any(np.asarray(wrong))):
        raise ValueError(message)
