"""What the parity check compares of Gaussian processes, on drawn points of a curve."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from parity.reference.gaussian_process import posterior
from parity.reference.kernels import Covariances, Points, line_kernel, neural_network_kernel, rbfkernel

Tensors = dict[str, Any]


@dataclass(frozen=True)
class Priors:
    """An evaluation: the kernels between "X" and "X_new", both meanings of the length scale among them."""

    ls: float = 0.3

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns a matrix for each kernel, and the ends of the band of straight lines."""
        both = tensors["X"], tensors["X_new"]
        std = (1 + tensors["X"].square()).sqrt()
        return {
            "squared_scale": rbfkernel(*both, self.ls),
            "plain_scale": rbfkernel(*both, self.ls, amplitude=1.7, ls_is="length"),
            "lines": line_kernel(*both),
            "neural_network": neural_network_kernel(*both, bias=0.5, weight=3.0),
            "lower": -2 * std,
            "upper": 2 * std,
        }


@dataclass(frozen=True)
class MarginalLikelihood:
    """An evaluation: the negative log marginal likelihood of "y" at "X", and its gradient."""

    ls: float = 0.4
    noise: float = 0.5

    def __call__(self, nets: Any, tensors: Tensors) -> dict[str, Tensor]:
        """Returns {"loss": scalar, "ls": scalar, "noise": scalar}; the last two are derivatives in them."""
        X, y = tensors["X"], tensors["y"]
        with torch.enable_grad():
            ls, noise = (X.new_tensor(value).requires_grad_() for value in (self.ls, self.noise))
            K = rbfkernel(X, X, ls) + noise**2 * torch.eye(len(X), dtype=X.dtype, device=X.device)
            loss = y @ torch.linalg.solve(K, y) / 2 + torch.linalg.slogdet(K)[1] / 2 + len(y) * math.log(math.tau) / 2
            slopes = torch.autograd.grad(loss, (ls, noise))
        return {"loss": loss.detach(), "ls": slopes[0], "noise": slopes[1]}


@dataclass(frozen=True)
class Posterior:
    """An evaluation: what is known at "X_new" when "y" was seen at "X"."""

    ls: float = 0.3
    noise: float = 0.25

    def __call__(self, nets: Any, tensors: Tensors) -> dict[str, Tensor]:
        """Returns mean and covariance, the ends of both bands, and the functions that the numbers "z" stand for."""
        kernel = self._kernel
        mean, covariance = posterior(kernel, tensors["X"], tensors["y"], tensors["X_new"], self.noise)
        std, observed = covariance.diagonal().sqrt(), (covariance.diagonal() + self.noise**2).sqrt()
        samples = mean + tensors["z"] @ torch.linalg.cholesky(covariance).T
        ends = {"lower": mean - 2 * std, "upper": mean + 2 * std}
        ends |= {"observed_lower": mean - 2 * observed, "observed_upper": mean + 2 * observed}
        return {"mean": mean, "covariance": covariance, "samples": samples} | ends

    def _kernel(self, x1: Points, x2: Points) -> Covariances:
        return rbfkernel(x1, x2, self.ls)
