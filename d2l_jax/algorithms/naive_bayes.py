"""Naive Bayes over binary features (book, section 22.9)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from d2l_jax.cpu.compile import jit
from d2l_jax.errors import InputError


class NaiveBayes(NamedTuple):
    """The probabilities that are estimated from examples, under the book's names.

    P_y: share of each class
    P_xy: probability that a feature is 1, by class, one example more of each kind counted
    """

    P_y: Float[Array, " classes"]
    P_xy: Float[Array, "classes *features"]


def binarised(images: Int[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
    """Returns 1 where a byte is 128 or more, else 0; uint8."""
    return (np.asarray(images) >= 128).astype(np.uint8)


def fit(
    features: Int[np.ndarray, "examples *features"], labels: Int[np.ndarray, " examples"], classes: int = 10
) -> NaiveBayes:
    """Returns the estimates from features of 0 and 1 and their classes.

    Raises:
      InputError: there is no example, one without a label, a feature other than 0 and 1, or a label of no class.
    """
    if not len(features) or len(features) != len(labels):
        raise InputError(
            f"there are {len(features)} examples and {len(labels)} labels; as many as each other, at least 1"
        )
    if not np.isin(np.unique(features), (0, 1)).all():
        raise InputError(f"features are 0 or 1, not {features.min()} to {features.max()}; see `binarised`")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"labels are 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
    return estimate(jnp.asarray(features, float), jnp.asarray(labels), classes)


def estimate(features: Float[Array, "examples *features"], labels: Int[Array, " examples"], classes: int) -> NaiveBayes:
    """Returns the estimates from features of 0.0 and 1.0, without a look at what they are."""
    belongs = jax.nn.one_hot(labels, classes, dtype=features.dtype)
    count = belongs.sum(0)
    ones = jnp.tensordot(belongs, features, (0, 0))
    size = jnp.expand_dims(count, tuple(range(1, ones.ndim)))
    return NaiveBayes(count / len(features), (ones + 1) / (size + 2))


@jit
def log_scores(model: NaiveBayes, features: Float[Array, "examples *features"]) -> Float[Array, "examples classes"]:
    """Returns log P(y) + sum of log P(x | y) of each class: their products underflow to 0."""
    flat = features.reshape(len(features), -1)
    present = jnp.log(model.P_xy).reshape(len(model.P_y), -1)
    absent = jnp.log1p(-model.P_xy).reshape(len(model.P_y), -1)
    return jnp.log(model.P_y)[None] + flat @ present.T + (1 - flat) @ absent.T


@dataclass(frozen=True)
class Classified:
    """An evaluation: estimates from "features" and "labels", and the scores of "unseen"."""

    classes: int = 3

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns {"P_y", "P_xy", "scores": (examples, classes), "predicted": int}."""
        model = estimate(tensors["features"], tensors["labels"], self.classes)
        scores = log_scores(model, tensors["unseen"])
        return model._asdict() | {"scores": scores, "predicted": scores.argmax(-1)}


def draw_bits(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws 23 "features" of 5 by 7 bits with "labels" of 3 classes, and 11 "unseen"; bits are float32."""
    labels = np.arange(23) % 3
    chance = random.random((3, 5, 7))
    seen = random.random((23, 5, 7)) < chance[labels]
    unseen = random.random((11, 5, 7)) < chance[np.arange(11) % 3]
    return {
        "features": seen.astype(np.float32),
        "labels": labels.astype(np.int32),
        "unseen": unseen.astype(np.float32),
    }
