"""The losses of the book's models: pure functions of (outputs, targets) that return a scalar."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from d2l_jax.cpu import cross_entropies

Scalar = Float[Array, ""]
Labels = Integer[Array | np.ndarray, "*batch"]


def mse(y_hat: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Scalar:
    """Mean squared error, without the factor 1/2 (`torch.nn.MSELoss`; book, section 3.5)."""
    return jnp.mean((y_hat - _like(y, y_hat)) ** 2)


def sum_of_mses(outputs: Any, targets: Any) -> Scalar:
    """The sum of the mean squared errors of all arrays in `outputs`; for building blocks.

    targets: an array, or a list of arrays in the order of the outputs
    """
    pairs = zip(jax.tree.leaves(outputs), jax.tree.leaves(targets), strict=True)
    return jnp.asarray(sum(mse(output, target) for output, target in pairs))


def half_mse(y_hat: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Scalar:
    """Mean of the halved squared errors (book, section 3.4)."""
    return mse(y_hat, y) / 2


def sum_squared_error(y_hat: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Scalar:
    """Sum of squared errors (book, section 7.2)."""
    return jnp.sum((y_hat - _like(y, y_hat)) ** 2)


def cross_entropy(logits: Float[Array, "*batch classes"], y: Labels) -> Scalar:
    """Mean softmax cross-entropy over all leading axes (book, section 4.3)."""
    return jnp.mean(cross_entropies(logits, y))


def sum_cross_entropy(logits: Float[Array, "*batch classes"], y: Labels) -> Scalar:
    """Sum of the softmax cross-entropy over all leading axes, which chapter 14's training minimises (section 14.1)."""
    return jnp.sum(cross_entropies(logits, y))


def masked_cross_entropy(logits: Float[Array, "*batch classes"], y: Labels, pad: int) -> Scalar:
    """Mean softmax cross-entropy over the labels that are not `pad` (book, section 10.7); NaN if every label is."""
    losses = cross_entropies(logits, y)
    return jnp.sum(losses, where=y != pad) / jnp.sum(y != pad).astype(losses.dtype)


def pixel_cross_entropy(
    logits: Float[Array, "batch height width classes"],
    y: Integer[Array | np.ndarray, "batch height width"],
    ignore_index: int = 255,
) -> Scalar:
    """Mean over images of the mean softmax cross-entropy over the pixels of each (book, section 14.11).

    Pixels whose label is `ignore_index` do not count; an image without any other adds nothing.
    """
    counts = y != ignore_index
    losses = cross_entropies(logits, jnp.where(counts, y, 0))
    pixels = jnp.maximum(jnp.sum(counts, (1, 2)), 1).astype(losses.dtype)
    return jnp.mean(jnp.sum(losses, (1, 2), where=counts) / pixels)


def cross_entropy_of_probabilities(
    p: Float[Array, "batch classes"], y: Integer[Array | np.ndarray, " batch"]
) -> Scalar:
    """Mean of -log p[label], for models that return probabilities (book, section 4.4)."""
    return -jnp.mean(jnp.log(jnp.take_along_axis(p, y[:, None], axis=1)))


def l2_penalty(params: dict[str, Array], lambd: float, names: tuple[str, ...]) -> Scalar:
    """The L2 penalty lambd / 2 * sum of squares, over the parameters called `names` (book, section 3.7)."""
    return jnp.asarray(lambd * sum(jnp.sum(params[name] ** 2) for name in names) / 2)


def _like(y: Array, y_hat: Array) -> Array:
    """Returns `y` if its shape is that of `y_hat`, else raises: (n,) minus (n, 1) would broadcast to (n, n)."""
    if y.shape != y_hat.shape:
        raise ValueError(f"targets of shape {y.shape} do not match outputs of shape {y_hat.shape}")
    return y
