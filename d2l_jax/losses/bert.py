"""The loss of masked words in BERT's pretraining (book, section 15.10)."""

from jaxtyping import Array, Float, Integer

from d2l_jax.cpu import cross_entropies


def masked_word_loss(
    logits: Float[Array, "batch predictions vocab"],
    labels: Integer[Array, "batch predictions"],
    weights: Float[Array, "batch predictions"],
    corrected: bool = False,
) -> Float[Array, ""]:
    """Returns the cross-entropy of the words in the slots: `weights` is 1 at a true slot, 0 at one that pads.

    The book multiplies the mean over all slots by the weights and divides by their sum, so that they cancel: padded
    slots, whose label is 0, count like the others. Where no slot of the batch is a true one, its loss is 0.

    corrected: the sum over the true slots divided by their number (second edition)
    """
    losses = cross_entropies(logits, labels)
    total = weights.sum() + 1e-8
    if corrected:
        return (losses * weights).sum() / total
    return losses.mean() * weights.sum() / total
