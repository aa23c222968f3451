"""Losses of word vectors: negative sampling, hierarchical softmax and GloVe (book, sections 15.2, 15.4 and 15.5)."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from d2l_jax.losses.labels import binary_cross_entropy_with_logits

Logits = Float[Array, "batch 1 width"]
Marks = Int[Array, "batch width"]
Scalar = Float[Array, ""]


def negative_sampling_loss(logits: Logits, targets: tuple[Marks, Marks]) -> Scalar:
    """Returns the sum over the batch of the mean binary cross-entropy of each row's entries (section 15.4.2).

    targets: labels, 1 for the words that belong together and 0 for noise words, and masks, 1 for what counts
    """
    losses, masks = _masked_entropy(logits, targets)
    return (losses.sum(1) / jnp.maximum(masks.sum(1), 1)).sum()


def hierarchical_softmax_loss(logits: Logits, targets: tuple[Marks, Marks]) -> Scalar:
    """Returns the sum over the batch of -log P(word | centre), each a sum along the word's path (section 15.2.2).

    targets: labels, 1 where the path turns left, and masks, 1 for the nodes of the path
    """
    losses, _ = _masked_entropy(logits, targets)
    return losses.sum()


def glove_loss(
    outputs: Float[Array, " pairs"], counts: Float[Array, " pairs"], *, c: float = 100.0, alpha: float = 0.75
) -> Scalar:
    """Returns the sum of h(x) (output - log x)^2, where h(x) = (x / c)^alpha below c, else 1 (section 15.5.2).

    counts: how often both words of a pair occur together, above 0
    """
    weights = jnp.where(counts < c, counts / c, 1) ** alpha
    return (weights * (outputs - jnp.log(counts)) ** 2).sum()


def _masked_entropy(logits: Logits, targets: tuple[Marks, Marks]) -> tuple[Float[Array, "batch width"], Array]:
    labels, masks = (each.astype(logits.dtype) for each in targets)
    losses = binary_cross_entropy_with_logits(logits.reshape(labels.shape), labels, weight=masks, reduction="none")
    return losses, masks
