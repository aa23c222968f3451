"""Information theory: entropies and their kin in nats, with their limits at 0 (book, section 22.11)."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr, rel_entr
from jaxtyping import Array, Float, Int

BITS = float(np.log(2))  # nats divided by it are bits, in which the book has most of its figures


def self_information(p: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns -log p of each probability; infinity at 0, and 0 rather than -0 at 1."""
    return jnp.abs(jnp.log(p))


def entropy(p: Float[Array, "*shape"]) -> Float[Array, ""]:
    """Returns the sum of -p log p over all outcomes, one of which of probability 0 adds nothing.

    Of a table of two variables it is their joint entropy.
    """
    return entr(p).sum()


def conditional_entropy(joint: Float[Array, "x y"]) -> Float[Array, ""]:
    """Returns H(Y | X) of a table of joint probabilities: what y tells once x is known."""
    return -_times_log(joint, joint / _one_where_zero(joint.sum(1, keepdims=True))).sum()


def mutual_information(joint: Float[Array, "x y"]) -> Float[Array, ""]:
    """Returns I(X, Y) of a table of joint probabilities: 0 where they are independent."""
    return rel_entr(joint, joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)).sum()


def kl_divergence(p: Float[Array, "*shape"], q: Float[Array, "*shape"]) -> Float[Array, ""]:
    """Returns the sum of p log(p / q): what p excludes adds nothing, what q alone excludes makes it infinite.

    The book's own returns the absolute value, which is another number where p and q do not sum to the same.
    """
    return rel_entr(p, q).sum()


def cross_entropy(p: Float[Array, "*shape"], q: Float[Array, "*shape"]) -> Float[Array, ""]:
    """Returns the sum of -p log q, the mean number of nats that a code for q takes of outcomes of p."""
    return -_times_log(p, q).sum()


def negative_log_likelihood(
    probs: Float[Array, "examples classes"], labels: Int[Array, " examples"]
) -> Float[Array, ""]:
    """Returns the mean of -log of the probability that each label has."""
    return self_information(jnp.take_along_axis(probs, labels[:, None], 1)).mean()


def _times_log(p: Array, q: Array) -> Array:
    """Returns p log q, and 0 where p is 0, gradients included."""
    return p * jnp.log(jnp.where(p == 0, 1, q))


def _one_where_zero(x: Array) -> Array:
    return jnp.where(x == 0, 1, x)


@dataclass(frozen=True)
class Information:
    """An evaluation: all of this file, of the table "joint", the distributions "p" and "q", "probs" and "labels"."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns each quantity by its name."""
        joint = tensors["joint"]
        p = tensors["p"]
        q = tensors["q"]
        return {
            "self_information": self_information(q),
            "entropy": entropy(p),
            "joint_entropy": entropy(joint),
            "conditional_entropy": conditional_entropy(joint),
            "mutual_information": mutual_information(joint),
            "kl_divergence": kl_divergence(p, q),
            "cross_entropy": cross_entropy(p, q),
            "negative_log_likelihood": negative_log_likelihood(tensors["probs"], tensors["labels"]),
        }


def draw_distributions(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws a "joint" table with an impossible row and cells, "p" with a 0, "q", "probs" and "labels"; float32."""
    joint = random.random((5, 7)) * (random.random((5, 7)) > 0.2)
    joint[2] = 0
    p, q = random.dirichlet(np.ones(9), 2)
    p[4] = 0
    arrays = {"joint": joint / joint.sum(), "p": p / p.sum(), "q": q, "probs": random.dirichlet(np.ones(4), 11)}
    drawn = {name: array.astype(np.float32) for name, array in arrays.items()}
    return drawn | {"labels": random.integers(0, 4, 11).astype(np.int32)}
