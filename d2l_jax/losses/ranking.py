"""Losses of pairs of items, of which a user prefers the first (book, section 21.5)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from d2l_jax.losses.reduction import weighted

Scores = Float[Array, "batch others"]
Scalar = Float[Array, ""]


def bpr_loss(positive: Float[Array, "batch #others"], negative: Scores, weight: Scores | None = None) -> Scalar:
    """Returns the sum of -log sigmoid(positive - negative), Bayesian personalised ranking (Rendle et al. 2009).

    It is finite for every gap, where the logarithm of a sigmoid is not: in the book a gap of -200 gives infinity.
    """
    return jnp.sum(weighted(jax.nn.softplus(negative - positive), weight))


def hinge_ranking_loss(
    positive: Float[Array, "batch #others"], negative: Scores, weight: Scores | None = None, *, margin: float = 1.0
) -> Scalar:
    """Returns the sum of max(0, margin - positive + negative); slope 0 at the kink."""
    return jnp.sum(weighted(jax.nn.relu(margin - positive + negative), weight))
