"""What a step keeps for its gradient; the rest is computed again, which takes less time than storing it."""

import jax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array

from d2l_jax.cpu.materialised import materialised

NAME = "kept for the gradient"
WHAT_IS_KEPT = jax.checkpoint_policies.save_only_these_names(NAME)


def named(x: Array) -> Array:
    """`x`, kept for the gradient, which reads it where it lies, in the array of all steps."""
    return checkpoint_name(x, NAME)


@jax.custom_jvp
def copied_out(x: Array) -> Array:
    """`x`, kept for the gradient, which copies it out of the array of all steps before it computes anything from it.

    Otherwise XLA:CPU reads it within the loop of an activation, which then takes five times as long.
    """
    return x


@copied_out.defjvp
def _copied_out(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return materialised(named(*primals)), *tangents
