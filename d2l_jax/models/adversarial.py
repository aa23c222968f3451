"""The two objectives of adversarial networks with any loss, and with penalties on the slopes of the discriminator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax.models.gan import draw_gaussian, given

Tensors = dict[str, Any]
Examples = Float[Array, "batch *size"]
OfTwoScores = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Discriminate:
    """The discriminator's objective: a loss of the scores of real examples "X" and of those made from "Z".

    Where the nets are conditional, both take the labels "y", too. The generator is left alone. Beside the loss come
    "real" and "fake", the scores, and each penalty's mean: "r1", "r2", "slope".

    loss:  of (real scores, fake scores), see `d2l_jax.losses.adversarial`
    r1:    gamma: half of it times the mean squared slope at real examples is added (Mescheder et al. 2018)
    r2:    the same at generated examples
    slope: weight of the mean squared distance of the slope's length from 1, at points between the two that the
           shares "mix" (batch,) of the real ones give (gradient penalty of Gulrajani et al. 2017)
    """

    loss: OfTwoScores
    r1: float = 0.0
    r2: float = 0.0
    slope: float = 0.0

    def __call__(self, nets: Any, tensors: Tensors) -> tuple[Array, Tensors]:
        """Returns (loss + penalties, the scores and the penalties)."""
        net_D, labels, X = nets["net_D"], given(tensors, "y"), tensors["X"]
        fake_X = jax.lax.stop_gradient(nets["net_G"](tensors["Z"], *labels))
        real, at_real = (scores_and_slopes if self.r1 else _scores)(net_D, X, *labels)
        fake, at_fake = (scores_and_slopes if self.r2 else _scores)(net_D, fake_X, *labels)
        loss = self.loss(real, fake)
        more = {"real": real, "fake": fake}
        if self.r1:
            more["r1"] = jnp.mean(squared_lengths(at_real))
            loss = loss + self.r1 / 2 * more["r1"]
        if self.r2:
            more["r2"] = jnp.mean(squared_lengths(at_fake))
            loss = loss + self.r2 / 2 * more["r2"]
        if self.slope:
            mix = tensors["mix"].reshape(-1, *[1] * (X.ndim - 1))
            _, between = scores_and_slopes(net_D, mix * X + (1 - mix) * fake_X, *labels)
            more["slope"] = jnp.mean((jnp.sqrt(squared_lengths(between)) - 1) ** 2)
            loss = loss + self.slope * more["slope"]
        return loss, more


@dataclass(frozen=True)
class Generate:
    """The generator's objective: a loss of the scores of real examples and of those that it makes.

    loss:  of (real scores, fake scores), see `d2l_jax.losses.adversarial`
    fresh: real examples, latent numbers and labels are "X_G", "Z_G" and "y_G", others than the discriminator's
    """

    loss: OfTwoScores
    fresh: bool = False

    def __call__(self, nets: Any, tensors: Tensors) -> tuple[Array, Tensors]:
        """Returns (loss, what was made and its scores)."""
        end = "_G" if self.fresh else ""
        labels = given(tensors, "y" + end)
        fake_X = nets["net_G"](tensors["Z" + end], *labels)
        fake = nets["net_D"](fake_X, *labels)
        real = nets["net_D"](tensors["X" + end], *labels)
        return self.loss(real, fake), {"fake_X": fake_X, "fake": fake}


def scores_and_slopes(net_D: nnx.Module, X: Examples, *labels: Array) -> tuple[Array, Examples]:
    """Returns the scores of examples, and the gradient of each score in its example.

    Batch statistics stay as they are; where a net has some, a score depends on the whole batch, and the gradient is
    that of the sum of all.
    """
    graph, variables = nnx.split(net_D)
    scores, pull = jax.vjp(lambda X: nnx.merge(graph, variables)(X, *labels), X)
    (slopes,) = pull(jnp.ones_like(scores))
    return scores, slopes


def squared_lengths(slopes: Examples) -> Float[Array, " batch"]:
    """Returns the squared length of each example's gradient: at real examples R1, at generated ones R2."""
    return jnp.sum(slopes**2, axis=tuple(range(1, slopes.ndim)))


def _scores(net_D: Any, X: Examples, *labels: Array) -> tuple[Array, Examples]:
    return net_D(X, *labels), X


def draw_mixed(random: np.random.Generator) -> Tensors:
    """Draws 8 points N(0, 1) A + b as "X", 8 times 2 latent numbers as "Z", and 8 shares "mix", float32."""
    return draw_gaussian(random) | {"mix": random.uniform(size=8).astype(np.float32)}
