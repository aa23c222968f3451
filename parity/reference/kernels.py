"""Covariance functions in PyTorch; see `d2l_jax.algorithms.kernels` (book, sections 18.1 and 18.2)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

Points = Float[Tensor, " points"]
Covariances = Float[Tensor, "n m"]


def rbfkernel(
    x1: Points, x2: Points, ls: float | Tensor = 4.0, amplitude: float = 1.0, ls_is: str = "square"
) -> Covariances:
    """Returns a^2 exp(-d^2 / (2 ls)); where `ls_is` "length", the square of `ls` takes its place."""
    distances = (x1.unsqueeze(1) - x2.unsqueeze(0)).square()
    return amplitude**2 * torch.exp(-distances / 2 / (ls if ls_is == "square" else ls**2))


def line_kernel(x1: Points, x2: Points) -> Covariances:
    """Returns 1 + x x'."""
    return torch.outer(x1, x2) + 1


def neural_network_kernel(x1: Points, x2: Points, bias: float = 1.0, weight: float = 1.0) -> Covariances:
    """Returns the kernel of infinitely many units erf(b + w x)."""
    variances = torch.stack([x1.new_tensor(bias), x1.new_tensor(weight)])
    first, second = (torch.stack([torch.ones_like(x), x], dim=1) for x in (x1, x2))
    inner = 2 * first @ (variances[:, None] * second.T)
    alone1, alone2 = (1 + 2 * (x.square() @ variances) for x in (first, second))
    return torch.asin(inner / torch.outer(alone1, alone2).sqrt()) * 2 / math.pi
