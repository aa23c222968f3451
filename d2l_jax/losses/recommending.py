"""Losses of ratings that are partly known, and of clicks (book, sections 21.4, 21.9 and 21.10)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from d2l_jax.losses.labels import binary_cross_entropy_with_logits

Rows = Float[Array, "items users"]
Scalar = Float[Array, ""]


def observed_squared_error(y_hat: Rows, y: Rows, *, first_edition: bool = False) -> Scalar:
    """Returns the sum of the squared errors of the ratings that are known; a rating of 0 is not (section 21.4).

    first_edition: half of the mean over all places, known or not
    """
    errors = jnp.where(y != 0, (y_hat - y) ** 2, 0)
    return errors.mean() / 2 if first_edition else errors.sum()


def click_loss(logits: Float[Array, "batch 1"], clicks: Float[Array, "batch 1"]) -> Scalar:
    """Returns the sum of the binary cross-entropies of logits (section 21.9)."""
    return binary_cross_entropy_with_logits(logits, clicks, reduction="sum")
