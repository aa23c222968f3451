"""Losses of recommenders: of pairs of items, of ratings that are partly known, and of clicks (book, chapter 21)."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Scores = Float[Tensor, "batch others"]
Scalar = Float[Tensor, ""]


def bpr_loss(positive: Float[Tensor, "batch #others"], negative: Scores, weight: Scores | None = None) -> Scalar:
    """Returns the sum of -log sigmoid(positive - negative), Bayesian personalised ranking (Rendle et al. 2009)."""
    losses = -F.logsigmoid(positive - negative)
    return (losses if weight is None else losses * weight).sum()


def hinge_ranking_loss(
    positive: Float[Tensor, "batch #others"], negative: Scores, weight: Scores | None = None, *, margin: float = 1.0
) -> Scalar:
    """Returns the sum of max(0, margin - positive + negative)."""
    losses = F.relu(margin - positive + negative)
    return (losses if weight is None else losses * weight).sum()


def observed_squared_error(
    y_hat: Float[Tensor, "items users"], y: Float[Tensor, "items users"], *, first_edition: bool = False
) -> Scalar:
    """Returns the sum of the squared errors of the ratings that are known; a rating of 0 is not (section 21.4)."""
    errors = (y_hat * y.sign().abs() - y) ** 2
    return errors.mean() / 2 if first_edition else errors.sum()


def click_loss(logits: Float[Tensor, "batch 1"], clicks: Float[Tensor, "batch 1"]) -> Scalar:
    """Returns the sum of the binary cross-entropies of logits (section 21.9)."""
    return F.binary_cross_entropy_with_logits(logits, clicks, reduction="sum")
