"""Linear regression, from scratch and with a layer (book, sections 3.4, 3.5, 3.7, 5.7)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LinearRegressionScratch(nn.Module):
    """Linear regression X w + b from scratch, with w from N(0, sigma) and b = 0 (book, section 3.4)."""

    def __init__(self, num_inputs: int, sigma: float = 0.01):
        super().__init__()
        self.w = nn.Parameter(sigma * torch.randn(num_inputs, 1))
        self.b = nn.Parameter(torch.zeros(1))

    def forward(self, X: Float[Tensor, "batch num_inputs"]) -> Float[Tensor, "batch 1"]:
        return X @ self.w + self.b


class WeightDecayScratch(LinearRegressionScratch):
    """Linear regression whose loss has an L2 penalty on w, `losses.l2_penalty` (book, section 3.7)."""


class LinearRegression(nn.Module):
    """Linear regression: a dense layer with a single output (book, sections 3.5 and 5.7).

    `corrected` starts it from N(0, 0.01) and 0, which in the book never reach the lazy layer.
    """

    def __init__(self, in_features: int = 2, corrected: bool = False):
        super().__init__()
        self.net = nn.Linear(in_features, 1)
        if corrected:
            nn.init.normal_(self.net.weight, 0, 0.01)
            nn.init.zeros_(self.net.bias)

    def forward(self, X: Float[Tensor, "batch in_features"]) -> Float[Tensor, "batch 1"]:
        return self.net(X)


class WeightDecay(LinearRegression):
    """Linear regression whose optimiser decays the weight and not the bias (book, section 3.7)."""


def airfoil_regression(in_features: int = 5) -> nn.Sequential:
    """Linear regression whose weight starts from N(0, 0.01), and its bias by PyTorch's default (section 12.5)."""
    layer = nn.Linear(in_features, 1)
    nn.init.normal_(layer.weight, std=0.01)
    return nn.Sequential(layer)
