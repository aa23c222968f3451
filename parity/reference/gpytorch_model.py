"""The exact Gaussian process with GPyTorch's own classes, as the book has it (section 18.3.5); needs the extra `gp`."""

import warnings
from typing import Any

from jaxtyping import Float
from torch import Tensor

with warnings.catch_warnings():  # linear_operator compiles by torch.jit.script, which PyTorch advises against
    warnings.simplefilter("ignore")
    import gpytorch  # type: ignore[import-not-found]


class GPyTorchModel(gpytorch.models.ExactGP):  # type: ignore[misc]
    """Mean 0 and a scaled RBF kernel over the points that it learns from, in their dtype."""

    def __init__(self, X: Float[Tensor, " points"], y: Float[Tensor, " points"]):
        super().__init__(X, y, gpytorch.likelihoods.GaussianLikelihood())
        self.mean_module = gpytorch.means.ZeroMean()
        self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())
        self.to(X.dtype)

    def forward(self, x: Float[Tensor, "points 1"]) -> gpytorch.distributions.MultivariateNormal:
        """Returns the distribution of the function before anything is seen."""
        mean: Any = self.mean_module(x)
        return gpytorch.distributions.MultivariateNormal(mean, self.covar_module(x))

    def loss(self) -> Float[Tensor, ""]:
        """Returns minus the log marginal likelihood of what it learns from, over the number of points."""
        marginal: Any = gpytorch.mlls.ExactMarginalLogLikelihood(self.likelihood, self)
        inputs: Any = self.train_inputs
        return -marginal(self(*inputs), self.train_targets)
