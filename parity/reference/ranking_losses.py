"""Losses of pairs of items, of which a user prefers the first (book, section 21.5)."""

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
