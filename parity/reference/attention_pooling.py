"""Attention pooling by similarity: Nadaraya-Watson regression (book, section 11.2)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Distances = Float[Tensor, "*shape"]
Kernel = Callable[[Distances], Distances]


def gaussian(sigma: float = 1.0) -> Kernel:
    """The Gaussian kernel u -> exp(-u^2 / (2 sigma^2)) (book, section 11.2)."""
    return lambda u: torch.exp(-(u**2) / (2 * sigma**2))


def boxcar(u: Distances) -> Distances:
    """The boxcar kernel: 1 where abs(u) < 1, else 0 (book, section 11.2)."""
    return (u.abs() < 1).to(u.dtype)


def constant(u: Distances) -> Distances:
    """The constant kernel: 1 everywhere (book, section 11.2)."""
    return torch.ones_like(u)


def epanechikov(u: Distances, corrected: bool = False) -> Distances:
    """The triangular kernel max(1 - abs(u), 0), which the book calls Epanechikov's (section 11.2).

    `corrected` takes the kernel of Epanechnikov (1969), 3/4 max(1 - u^2, 0).
    """
    return 0.75 * torch.clamp(1 - u**2, min=0) if corrected else torch.clamp(1 - u.abs(), min=0)


def nadaraya_watson(
    x_train: Float[Tensor, " train"], y_train: Float[Tensor, " train"], x_val: Float[Tensor, " queries"], kernel: Kernel
) -> tuple[Float[Tensor, " queries"], Float[Tensor, "train queries"]]:
    """Averages `y_train` for each query with weights from `kernel` (Nadaraya, Watson 1964; book, section 11.2).

    Returns the estimates (queries,) and the attention weights (train, queries); both are NaN for a query at which the
    kernel is 0 for every training point.
    """
    similarities = kernel(x_train[:, None] - x_val[None, :])
    weights = similarities / similarities.sum(dim=0)
    return y_train @ weights, weights
