"""The exact Gaussian process that the book takes from GPyTorch, under GPyTorch's names (book, section 18.3.5)."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.nn import functional as F

from parity.reference.kernels import Covariances, Points, rbfkernel

Scale = Float[Tensor, "..."]
Tensors = dict[str, Any]
Gaussian = tuple[Float[Tensor, " points"], Float[Tensor, "points points"]]


class Positive(nn.Module):
    """Makes a number positive by softplus; its bounds are saved and not used."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("lower_bound", torch.tensor(0.0))
        self.register_buffer("upper_bound", torch.tensor(math.inf))

    def forward(self, raw: Scale) -> Scale:
        return F.softplus(raw)


class GreaterThan(nn.Module):
    """Makes a number greater than a bound: softplus, and the bound added."""

    lower_bound: Tensor

    def __init__(self, lower_bound: float) -> None:
        super().__init__()
        self.register_buffer("lower_bound", torch.tensor(lower_bound))
        self.register_buffer("upper_bound", torch.tensor(math.inf))

    def forward(self, raw: Scale) -> Scale:
        return F.softplus(raw) + self.lower_bound


class RBFKernel(nn.Module):
    """exp(-d^2 / (2 l^2)), whose length scale l is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.raw_lengthscale = nn.Parameter(torch.zeros(1, 1))
        self.raw_lengthscale_constraint = Positive()

    def lengthscale(self) -> Float[Tensor, "1 1"]:
        """Returns l."""
        return self.raw_lengthscale_constraint(self.raw_lengthscale)

    def forward(self, x1: Points, x2: Points) -> Covariances:
        return rbfkernel(x1, x2, self.lengthscale(), ls_is="length")


class ScaleKernel(nn.Module):
    """A kernel times a factor that is learned, the variance of the function's values."""

    def __init__(self, base_kernel: RBFKernel):
        super().__init__()
        self.raw_outputscale = nn.Parameter(torch.zeros(()))
        self.base_kernel = base_kernel
        self.raw_outputscale_constraint = Positive()

    def outputscale(self) -> Float[Tensor, ""]:
        """Returns the factor."""
        return self.raw_outputscale_constraint(self.raw_outputscale)

    def forward(self, x1: Points, x2: Points) -> Covariances:
        return self.outputscale() * self.base_kernel(x1, x2)


class HomoskedasticNoise(nn.Module):
    """The variance of the noise, the same at all points and at least 1e-4, which is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.raw_noise = nn.Parameter(torch.zeros(1))
        self.raw_noise_constraint = GreaterThan(1e-4)

    def forward(self) -> Float[Tensor, " 1"]:
        """Returns the variance."""
        return self.raw_noise_constraint(self.raw_noise)


class GaussianLikelihood(nn.Module):
    """From the values of a function to those that are observed: noise is added."""

    def __init__(self) -> None:
        super().__init__()
        self.noise_covar = HomoskedasticNoise()

    def forward(self, values: Gaussian) -> Gaussian:
        mean, covariance = values
        return mean, covariance + torch.diag(self.noise_covar().expand(len(mean)))


class ExactGPModel(nn.Module):
    """A Gaussian process of mean 0 with a scaled RBF kernel and Gaussian noise: three numbers are learned."""

    def __init__(self) -> None:
        super().__init__()
        self.likelihood = GaussianLikelihood()
        self.covar_module = ScaleKernel(RBFKernel())

    def forward(self, X: Points) -> Gaussian:
        """Returns mean and covariance of the function at `X` before anything is seen."""
        return torch.zeros_like(X), self.covar_module(X, X)

    def noise(self) -> Float[Tensor, ""]:
        """Returns the standard deviation of the noise."""
        return self.likelihood.noise_covar().squeeze(0).sqrt()

    def posterior(self, X: Points, y: Float[Tensor, " points"], X_new: Points) -> Gaussian:
        """Returns mean and covariance of the function at `X_new`, `y` seen at `X`."""
        return posterior(self.covar_module, X, y, X_new, self.noise())


def exact_marginal_loss(nets: Any, tensors: Tensors) -> tuple[Tensor, Tensors]:
    """Returns minus the log marginal likelihood of "y" at "X" over the number of points, as GPyTorch divides it."""
    X, y = tensors["X"], tensors["y"]
    mean, covariance = nets.likelihood(nets(X))
    density = MultivariateNormal(mean, covariance, validate_args=False)
    return -density.log_prob(y) / len(y), {"covariance": covariance}


def predicted(nets: Any, tensors: Tensors) -> Tensors:
    """Returns mean and covariance at "X_new", the ends of the band of observations, and the loss of what was seen."""
    mean, covariance = nets.posterior(tensors["X"], tensors["y"], tensors["X_new"])
    std = (covariance.diagonal() + nets.noise().square()).sqrt()
    ends = {"lower": mean - 2 * std, "upper": mean + 2 * std}
    loss, _ = exact_marginal_loss(nets, tensors)
    return {"mean": mean, "covariance": covariance, "loss": loss} | ends


def posterior(kernel: Any, X: Points, y: Float[Tensor, " points"], X_new: Points, noise: float | Tensor) -> Gaussian:
    """Returns mean and covariance of the function at `X_new`, `y` seen at `X`, by solving with the whole matrix."""
    K = kernel(X, X) + noise**2 * torch.eye(len(X), dtype=X.dtype, device=X.device)
    across = kernel(X, X_new)
    weights = torch.linalg.solve(K, across)
    return weights.T @ y, kernel(X_new, X_new) - across.T @ weights
