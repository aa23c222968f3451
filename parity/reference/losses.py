"""The losses of `d2l_jax.losses` in PyTorch, under the same names."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import binary_cross_entropy as binary_cross_entropy
from torch.nn.functional import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from torch.nn.functional import cosine_embedding_loss as cosine_embedding_loss
from torch.nn.functional import ctc_loss as ctc_loss
from torch.nn.functional import gaussian_nll_loss as gaussian_nll_loss
from torch.nn.functional import hinge_embedding_loss as hinge_embedding_loss
from torch.nn.functional import huber_loss as huber_loss
from torch.nn.functional import kl_div as kl_div
from torch.nn.functional import l1_loss as l1_loss
from torch.nn.functional import margin_ranking_loss as margin_ranking_loss
from torch.nn.functional import mse_loss as mse_loss
from torch.nn.functional import multi_margin_loss as multi_margin_loss
from torch.nn.functional import multilabel_margin_loss as multilabel_margin_loss
from torch.nn.functional import multilabel_soft_margin_loss as multilabel_soft_margin_loss
from torch.nn.functional import pairwise_distance as pairwise_distance
from torch.nn.functional import poisson_nll_loss as poisson_nll_loss
from torch.nn.functional import smooth_l1_loss as smooth_l1_loss
from torch.nn.functional import soft_margin_loss as soft_margin_loss
from torch.nn.functional import triplet_margin_loss as triplet_margin_loss
from torch.nn.functional import triplet_margin_with_distance_loss as triplet_margin_with_distance_loss

from parity.reference.adversarial_losses import hinge_loss_D as hinge_loss_D
from parity.reference.adversarial_losses import least_squares_loss_D as least_squares_loss_D
from parity.reference.adversarial_losses import least_squares_loss_G as least_squares_loss_G
from parity.reference.adversarial_losses import logistic_loss_D as logistic_loss_D
from parity.reference.adversarial_losses import logistic_loss_G as logistic_loss_G
from parity.reference.adversarial_losses import rpgan_loss_D as rpgan_loss_D
from parity.reference.adversarial_losses import rpgan_loss_G as rpgan_loss_G
from parity.reference.adversarial_losses import saturating_loss_G as saturating_loss_G
from parity.reference.adversarial_losses import wasserstein_loss_D as wasserstein_loss_D
from parity.reference.adversarial_losses import wasserstein_loss_G as wasserstein_loss_G
from parity.reference.recommender_losses import bpr_loss as bpr_loss
from parity.reference.recommender_losses import click_loss as click_loss
from parity.reference.recommender_losses import hinge_ranking_loss as hinge_ranking_loss
from parity.reference.recommender_losses import observed_squared_error as observed_squared_error
from parity.reference.word_losses import glove_loss as glove_loss
from parity.reference.word_losses import hierarchical_softmax_loss as hierarchical_softmax_loss
from parity.reference.word_losses import negative_sampling_loss as negative_sampling_loss

Scalar = Float[Tensor, ""]


def mse(y_hat: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Scalar:
    """Mean squared error, without the factor 1/2 (book, section 3.5)."""
    return F.mse_loss(y_hat, y)


def sum_of_mses(outputs: Any, targets: Any) -> Scalar:
    """The sum of the mean squared errors of all tensors in `outputs`; for building blocks."""
    pairs = zip(_tensors(outputs), _tensors(targets), strict=True)
    return torch.stack([F.mse_loss(output, target) for output, target in pairs]).sum()


def half_mse(y_hat: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Scalar:
    """Mean of the halved squared errors (book, section 3.4)."""
    return ((y_hat - y) ** 2 / 2).mean()


def sum_squared_error(y_hat: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Scalar:
    """Sum of squared errors (book, section 7.2)."""
    return F.mse_loss(y_hat, y, reduction="sum")


def cross_entropy(logits: Float[Tensor, "*batch classes"], y: Int[Tensor, "*batch"]) -> Scalar:
    """Mean softmax cross-entropy over all leading axes (book, section 4.3)."""
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


def sum_cross_entropy(logits: Float[Tensor, "*batch classes"], y: Int[Tensor, "*batch"]) -> Scalar:
    """Sum of the softmax cross-entropy over all leading axes (book, section 14.1)."""
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1), reduction="sum")


def masked_cross_entropy(logits: Float[Tensor, "*batch classes"], y: Int[Tensor, "*batch"], pad: int) -> Scalar:
    """Mean softmax cross-entropy over the labels that are not `pad` (book, section 10.7)."""
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1), ignore_index=pad)


def pixel_cross_entropy(
    logits: Float[Tensor, "batch classes height width"], y: Int[Tensor, "batch height width"], ignore_index: int = 255
) -> Scalar:
    """Mean over images of the mean softmax cross-entropy over the pixels of each (book, section 14.11)."""
    losses = F.cross_entropy(logits, y, ignore_index=ignore_index, reduction="none")
    pixels = (y != ignore_index).sum((1, 2)).clamp(min=1)
    return (losses.sum((1, 2)) / pixels).mean()


def cross_entropy_of_probabilities(p: Float[Tensor, "batch classes"], y: Int[Tensor, " batch"]) -> Scalar:
    """Mean of -log p[label], for models that return probabilities (book, section 4.4)."""
    return -torch.log(p[torch.arange(len(y), device=y.device), y]).mean()


def l2_penalty(params: dict[str, Tensor], lambd: float, names: tuple[str, ...]) -> Scalar:
    """lambd / 2 times the sum of squares of the parameters called `names` (book, section 3.7)."""
    return torch.as_tensor(lambd * sum((params[name] ** 2).sum() for name in names) / 2)


def nll_loss(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    """Negative log-likelihood, `F.nll_loss`, with the classes as the last axis."""
    return F.nll_loss(_classes_second(input), target, **options)


def cross_entropy_loss(input: Tensor, target: Tensor, **options: Any) -> Tensor:
    """Cross-entropy, `F.cross_entropy`, with the classes as the last axis of logits and of probabilities."""
    if target.is_floating_point():
        target = _classes_second(target)
    return F.cross_entropy(_classes_second(input), target, **options)


def _classes_second(x: Tensor) -> Tensor:
    return x.movedim(-1, 1) if x.ndim > 1 else x


def _tensors(tree: Any) -> list[Tensor]:
    return [tree] if isinstance(tree, Tensor) else [tensor for part in tree for tensor in _tensors(part)]


def masked_word_loss(
    logits: Float[Tensor, "batch predictions vocab"],
    labels: Int[Tensor, "batch predictions"],
    weights: Float[Tensor, "batch predictions"],
    corrected: bool = False,
) -> Scalar:
    """Cross-entropy of the words in the slots; in the book a mean over all, `corrected` over true ones (15.10)."""
    words = logits.reshape(-1, logits.shape[-1])
    flat = weights.reshape(-1)
    losses = F.cross_entropy(words, labels.reshape(-1).long(), reduction="none" if corrected else "mean")
    return (losses * flat).sum() / (flat.sum() + 1e-8)


def smooth_l1(x: Tensor, sigma: float = 1.0) -> Tensor:
    """Returns (sigma x)^2 / 2 where |x| < 1 / sigma^2, else |x| - 1 / (2 sigma^2), elementwise (section 14.7)."""
    beta = 1 / sigma**2
    return torch.where(x.abs() < beta, 0.5 * (sigma * x) ** 2, x.abs() - 0.5 * beta)


def focal_loss(p: Tensor, gamma: float) -> Tensor:
    """Returns -(1 - p)^gamma log p of the true class's probabilities, elementwise (section 14.7)."""
    return -((1 - p) ** gamma) * p.log()


def detection_loss(
    scores: Float[Tensor, "batch anchors classes"],
    offsets: Float[Tensor, "batch offsets"],
    classes: Int[Tensor, "batch anchors"],
    true_offsets: Float[Tensor, "batch offsets"],
    masks: Float[Tensor, "batch offsets"],
    *,
    sigma: float | None = None,
    gamma: float | None = None,
    negatives: float | None = None,
) -> Scalar:
    """Returns the mean over images of the class loss and the box loss of a detector (section 14.7)."""
    by_anchor = F.cross_entropy(scores.movedim(-1, 1), classes, reduction="none")
    if gamma is not None:
        by_anchor = by_anchor * (1 - (-by_anchor).exp()) ** gamma
    counted = torch.ones_like(by_anchor)
    if negatives is not None:
        positive = classes > 0
        hardest = by_anchor.detach().masked_fill(positive, -torch.inf).argsort(dim=1, descending=True, stable=True)
        most = negatives * positive.sum(dim=1, keepdim=True).clamp(min=1)
        counted = (positive | (hardest.argsort(dim=1) < most)).to(by_anchor.dtype)
    class_loss = (by_anchor * counted).sum(dim=1) / counted.sum(dim=1)
    difference = (offsets - true_offsets) * masks
    box_loss = difference.abs() if sigma is None else smooth_l1(difference, sigma)
    return (class_loss + box_loss.mean(dim=1)).mean()
