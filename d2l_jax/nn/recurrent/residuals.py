"""Residuals of a step, which its gradient reads; all else is rematerialised, which takes less time than storing it."""

import jax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array

from d2l_jax.cpu.materialised import materialised

NAME = "residual of a step"
SAVE_RESIDUALS = jax.checkpoint_policies.save_only_these_names(NAME)


def residual(x: Array) -> Array:
    """`x`, marked as a residual that the gradient reads from the array of all steps."""
    return checkpoint_name(x, NAME)


@jax.custom_jvp
def copied_residual(x: Array) -> Array:
    """`x`, marked as a residual that the gradient copies out of the array of all steps before it computes with it.

    Otherwise XLA:CPU reads it within the loop of an activation, which then takes five times as long.
    """
    return x


@copied_residual.defjvp
def _copied_residual(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return materialised(residual(*primals)), *tangents
