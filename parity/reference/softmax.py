"""Softmax regression, from scratch and with a layer (book, sections 4.4 and 4.5)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def softmax(X: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
    """Softmax as the plain exp(X) / sum(exp(X)), which overflows where a score is large (book, section 4.4)."""
    X_exp = torch.exp(X)
    return X_exp / X_exp.sum(1, keepdim=True)


class SoftmaxRegressionScratch(nn.Module):
    """Softmax regression from scratch: probabilities softmax(X W + b), not scores (book, section 4.4)."""

    def __init__(self, num_inputs: int = 784, num_outputs: int = 10, sigma: float = 0.01):
        super().__init__()
        self.W = nn.Parameter(sigma * torch.randn(num_inputs, num_outputs))
        self.b = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, X: Float[Tensor, "batch *features"]) -> Float[Tensor, "batch classes"]:
        return softmax(X.flatten(1) @ self.W + self.b)


class SoftmaxRegression(nn.Module):
    """Softmax regression: a dense layer on the flattened image, which gives scores (book, section 4.5)."""

    def __init__(self, num_outputs: int = 10, in_features: int = 784):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(in_features, num_outputs))

    def forward(self, X: Float[Tensor, "batch *features"]) -> Float[Tensor, "batch classes"]:
        return self.net(X)
