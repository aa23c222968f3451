"""Losses of word vectors: negative sampling, hierarchical softmax and GloVe (book, sections 15.2, 15.4 and 15.5)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

Logits = Float[Tensor, "batch 1 width"]
Marks = Int[Tensor, "batch width"]
Scalar = Float[Tensor, ""]


def negative_sampling_loss(logits: Logits, targets: tuple[Marks, Marks]) -> Scalar:
    """Returns the sum over the batch of the mean binary cross-entropy of each row's entries (section 15.4.2)."""
    labels, masks = (each.to(logits.dtype) for each in targets)
    losses = F.binary_cross_entropy_with_logits(logits.reshape(labels.shape), labels, weight=masks, reduction="none")
    return (losses.mean(dim=1) / masks.sum(dim=1).clamp(min=1) * masks.shape[1]).sum()


def hierarchical_softmax_loss(logits: Logits, targets: tuple[Marks, Marks]) -> Scalar:
    """Returns the sum over the batch of -log P(word | centre), each a sum along the word's path (section 15.2.2)."""
    labels, masks = (each.to(logits.dtype) for each in targets)
    return F.binary_cross_entropy_with_logits(logits.reshape(labels.shape), labels, weight=masks, reduction="sum")


def glove_loss(
    outputs: Float[Tensor, " pairs"], counts: Float[Tensor, " pairs"], *, c: float = 100.0, alpha: float = 0.75
) -> Scalar:
    """Returns the sum of h(x) (output - log x)^2, where h(x) = (x / c)^alpha below c, else 1 (section 15.5.2)."""
    weights = torch.clamp(counts / c, max=1) ** alpha
    return (weights * (outputs - counts.log()) ** 2).sum()
