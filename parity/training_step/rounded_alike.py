"""What both sides keep between two steps, rounded on both where it is on one."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from parity.training_step.jax_state import Leaves

ALIKE = 1e-6  # a rounding to float32


def rounded_alike(leaves: Leaves, held: Sequence[np.ndarray]) -> Leaves:
    """Returns the leaves as PyTorch's tensors are between two steps, which float32 holds exactly.

    held: what PyTorch keeps in tensors; what has no like among them, such as sums of gradients, is not rounded there,
          nor are slots that it alone has
    """
    marks = [_mark(array) for array in held if np.array_equal(array, np.float32(array))]

    def rounded(leaf: Any) -> Any:
        if getattr(leaf, "dtype", None) != np.float64:
            return leaf
        own = _mark(leaf)
        if not any(_near(own, mark) for mark in marks):
            return leaf
        return jnp.asarray(np.asarray(leaf, np.float32).astype(np.float64))

    return {path: rounded(leaf) for path, leaf in leaves.items()}


def _mark(array: Any) -> tuple[int, float, float]:
    """Returns what an array keeps in any layout: how many numbers it has, and sums of their powers."""
    x = np.abs(np.asarray(array, np.float64))
    return x.size, float(np.sqrt(np.sum(x * x))), float(np.cbrt(np.sum(x**3)))


def _near(one: tuple[int, float, float], other: tuple[int, float, float]) -> bool:
    return one[0] == other[0] and np.allclose(one[1:], other[1:], rtol=ALIKE, atol=0)
