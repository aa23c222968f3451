"""A generative adversarial network on points of the plane (book, section 20.1)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_normal
from d2l_jax.losses import binary_cross_entropy_with_logits

Tensors = dict[str, Any]


def discriminator(num_inputs: int = 2, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Scores whether points are real: two hidden layers of 5 and 3 units (section 20.1)."""
    net = nn.Sequential(
        nn.Linear(num_inputs, 5, rngs=rngs),
        nnx.tanh,
        nn.Linear(5, 3, rngs=rngs),
        nnx.tanh,
        nn.Linear(3, 1, rngs=rngs),
    )
    return init_normal(net, rngs=rngs)


def generator(num_latents: int = 2, num_outputs: int = 2, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Maps random numbers to points by one affine layer (section 20.1)."""
    return init_normal(nn.Sequential(nn.Linear(num_latents, num_outputs, rngs=rngs)), rngs=rngs)


def discriminator_loss(
    nets: Any, tensors: Tensors, reduction: str = "sum", together: bool = False
) -> tuple[Array, Tensors]:
    """Returns half the cross-entropy of real examples "X" as ones and of those made from "Z" as zeros.

    The generator is left alone: no gradient goes through what it makes. The first edition sums over the batch, the
    second averages, `reduction="mean"`.

    together: both are judged in one batch, as `judged_together`; in the book each is one of its own
    """
    if together:
        real, fake = judged_together(nets["net_D"], tensors["X"], jax.lax.stop_gradient(nets["net_G"](tensors["Z"])))
    else:
        real = nets["net_D"](tensors["X"])
        fake = nets["net_D"](jax.lax.stop_gradient(nets["net_G"](tensors["Z"])))
    loss = (_cross_entropy(real, 1.0, reduction) + _cross_entropy(fake, 0.0, reduction)) / 2
    return loss, {"real": real, "fake": fake}


def generator_loss(
    nets: Any, tensors: Tensors, reduction: str = "sum", together: bool = False
) -> tuple[Array, Tensors]:
    """Returns the cross-entropy of what is made from "Z" as ones: the generator wants it taken for real.

    together: as in `discriminator_loss`
    """
    fake_X = nets["net_G"](tensors["Z"])
    fake = judged_together(nets["net_D"], tensors["X"], fake_X)[1] if together else nets["net_D"](fake_X)
    return _cross_entropy(fake, 1.0, reduction), {"fake_X": fake_X, "fake": fake}


def judged_together(net_D: Any, X: Array, fake_X: Array) -> tuple[Array, Array]:
    """Returns the scores of real and of generated examples of one shape, (real, fake), in one batch.

    Batch normalisation takes mean and size out of a batch of its own: it hides from the discriminator that generated
    images are grey where real ones are white.
    """
    scores = net_D(jnp.concatenate([X, fake_X]))
    return scores[: len(X)], scores[len(X) :]


def generated(nets: Any, tensors: Tensors) -> Tensors:
    """Returns what the generator makes from "Z", and the discriminator's score of the real examples "X".

    Where the nets are conditional, both take the labels "y", too.
    """
    labels = given(tensors, "y")
    return {"fake_X": nets["net_G"](tensors["Z"], *labels), "real": nets["net_D"](tensors["X"], *labels)}


def given(tensors: Tensors, name: str) -> tuple[Array, ...]:
    """Returns the tensor as further arguments of a net: none where there is no such tensor."""
    return (tensors[name],) if name in tensors else ()


def draw_gaussian(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws 8 points N(0, 1) A + b as "X", and 8 times 2 latent numbers as "Z", float32."""
    points = random.normal(size=(8, 2)) @ np.array([[1, 2], [-0.1, 0.5]]) + np.array([1, 2])
    return {"X": points.astype(np.float32), "Z": random.normal(size=(8, 2)).astype(np.float32)}


def _cross_entropy(logits: Float[Array, "batch ..."], label: float, reduction: str) -> Float[Array, ""]:
    return binary_cross_entropy_with_logits(logits, jnp.full_like(logits, label), reduction=reduction)
