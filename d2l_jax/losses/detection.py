"""The loss of a detector: of classes and of boxes (book, section 14.7)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from d2l_jax.cpu import cross_entropies
from d2l_jax.losses.absolute import absolute

Values = Float[Array, "*shape"]
Scores = Float[Array, "batch anchors classes"]
Offsets = Float[Array, "batch offsets"]
Classes = Int[Array, "batch anchors"]


def smooth_l1(x: Values, sigma: float = 1.0) -> Values:
    """Returns (sigma x)^2 / 2 where |x| < 1 / sigma^2, else |x| - 1 / (2 sigma^2), elementwise (section 14.7)."""
    return jnp.where(absolute(x) < 1 / sigma**2, (sigma * x) ** 2 / 2, absolute(x) - 0.5 / sigma**2)


def focal_loss(p: Values, gamma: float) -> Values:
    """Returns -(1 - p)^gamma log p of the true class's probabilities, elementwise (Lin et al. 2017; section 14.7)."""
    return -((1 - p) ** gamma) * jnp.log(p)


def detection_loss(
    scores: Scores,
    offsets: Offsets,
    classes: Classes,
    true_offsets: Offsets,
    masks: Offsets,
    *,
    sigma: float | None = None,
    gamma: float | None = None,
    negatives: float | None = None,
) -> Float[Array, ""]:
    """Returns the mean over images of the class loss, a mean over anchors, plus the box loss, a mean over offsets.

    The class loss is the cross-entropy over all anchors, the box loss the absolute error of the offsets that `masks`
    leaves, both divided by the number of all (section 14.7).

    sigma:     the box loss is `smooth_l1` with this sigma
    gamma:     the class loss is `focal_loss` with this gamma
    negatives: hard-negative mining (Liu et al. 2016): of the background's anchors only those with the highest class
               loss count, this many times as many as there are others in the image (or as for one, where none is),
               and the mean is over what counts
    """
    by_anchor = _class_loss(scores, classes, gamma)
    if negatives is None:
        class_loss = by_anchor.mean(1)
    else:
        counted = _counted(jax.lax.stop_gradient(by_anchor), classes > 0, negatives).astype(by_anchor.dtype)
        class_loss = (by_anchor * counted).sum(1) / counted.sum(1)
    difference = offsets * masks - true_offsets * masks
    box_loss = (absolute(difference) if sigma is None else smooth_l1(difference, sigma)).mean(1)
    return (class_loss + box_loss).mean()


def _class_loss(scores: Scores, classes: Classes, gamma: float | None) -> Float[Array, "batch anchors"]:
    loss = cross_entropies(scores, classes)
    return loss if gamma is None else (1 - jnp.exp(-loss)) ** gamma * loss


def _counted(loss: Array, positive: Array, negatives: float) -> Array:
    """Tells which anchors count: those with a box, and the hardest of the others; the first of equals."""
    most = negatives * jnp.maximum(positive.sum(1, keepdims=True), 1).astype(loss.dtype)
    hardest = jnp.argsort(jnp.where(positive, -jnp.inf, loss), axis=1, descending=True)
    rank = jnp.argsort(hardest, axis=1).astype(loss.dtype)
    return positive | (rank < most)
