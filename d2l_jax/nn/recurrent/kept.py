"""What a step keeps for its gradient; the rest is computed again, in less time than it is stored in."""

import jax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array

from d2l_jax.nn.lowering.materialised import materialised

NAME = "kept for the gradient"
WHAT_IS_KEPT = jax.checkpoint_policies.save_only_these_names(NAME)


def named(x: Array) -> Array:
    """`x`, kept for the gradient."""
    return checkpoint_name(x, NAME)


@jax.custom_jvp
def kept(x: Array) -> Array:
    """`x`, kept for the gradient, which copies it out of what all steps have kept before it computes with it.

    XLA:CPU else reads it within the loop of an activation, which then takes five times as long.
    """
    return x


@kept.defjvp
def _kept(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return materialised(named(*primals)), *tangents
