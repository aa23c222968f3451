"""The losses of `d2l_jax.losses`, under the same names, in PyTorch."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

Scalar = Float[Tensor, ""]


def mse(y_hat: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Scalar:
    """Mean squared error, without the factor 1/2 (book, section 3.5)."""
    return F.mse_loss(y_hat, y)


def half_mse(y_hat: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Scalar:
    """Mean of the halved squared errors (book, section 3.4)."""
    return ((y_hat - y) ** 2 / 2).mean()


def sum_squared_error(y_hat: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Scalar:
    """Sum of squared errors (book, section 7.2)."""
    return F.mse_loss(y_hat, y, reduction="sum")


def cross_entropy(logits: Float[Tensor, "*batch classes"], y: Int[Tensor, "*batch"]) -> Scalar:
    """Mean softmax cross-entropy over all leading axes (book, section 4.3)."""
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


def cross_entropy_of_probabilities(p: Float[Tensor, "batch classes"], y: Int[Tensor, " batch"]) -> Scalar:
    """Mean of -log p[label], for models that return probabilities (book, section 4.4)."""
    return -torch.log(p[torch.arange(len(y)), y]).mean()


def l2_penalty(params: dict[str, Tensor], lambd: float, names: tuple[str, ...]) -> Scalar:
    """lambd / 2 times the sum of squares of the parameters called `names` (book, section 3.7)."""
    return torch.as_tensor(lambd * sum((params[name] ** 2).sum() for name in names) / 2)
