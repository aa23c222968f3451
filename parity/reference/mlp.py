"""Multilayer perceptrons, from scratch and with layers (book, sections 5.2, 5.6 and 13.1; notes A3 and A4)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Inputs = Float[Tensor, "batch *features"]
Scores = Float[Tensor, "batch classes"]


def normal(sigma: float, *shape: int) -> nn.Parameter:
    """A parameter of this shape, drawn from N(0, sigma)."""
    return nn.Parameter(sigma * torch.randn(*shape))


def relu(X: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The ReLU max(X, 0), with gradient 0 at 0 (book, section 5.2)."""
    return torch.where(X > 0, X, 0)


class MLPScratch(nn.Module):
    """An MLP with a hidden layer, from scratch (book, section 5.2).

    Weights are drawn from N(0, sigma), with shapes (inputs, outputs).
    """

    def __init__(self, num_inputs: int = 784, num_outputs: int = 10, num_hiddens: int = 256, sigma: float = 0.01):
        super().__init__()
        self.W1 = normal(sigma, num_inputs, num_hiddens)
        self.b1 = nn.Parameter(torch.zeros(num_hiddens))
        self.W2 = normal(sigma, num_hiddens, num_outputs)
        self.b2 = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, X: Inputs) -> Scores:
        H = relu(X.flatten(1) @ self.W1 + self.b1)
        return H @ self.W2 + self.b2


class MLP(nn.Module):
    """An MLP with a hidden layer (book, section 5.2)."""

    def __init__(self, num_outputs: int = 10, num_hiddens: int = 256, in_features: int = 784):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_features, num_hiddens),
            nn.ReLU(),
            nn.Linear(num_hiddens, num_outputs),
        )

    def forward(self, X: Inputs) -> Scores:
        return self.net(X)


def dropout_layer(X: Float[Tensor, "*shape"], p: float) -> Float[Tensor, "*shape"]:
    """Zeroes each element with probability p and divides the others by 1 - p (book, section 5.6)."""
    if p == 0:
        return X
    if p == 1:
        return torch.zeros_like(X)
    return torch.where(torch.rand(X.shape, device=X.device) > p, X / (1 - p), 0)


class DropoutMLPScratch(nn.Module):
    """An MLP with two hidden layers, each followed by `dropout_layer` in training (book, section 5.6)."""

    def __init__(
        self,
        num_outputs: int = 10,
        num_hiddens_1: int = 256,
        num_hiddens_2: int = 256,
        dropout_1: float = 0.5,
        dropout_2: float = 0.5,
        in_features: int = 784,
    ):
        super().__init__()
        self.lin1 = nn.Linear(in_features, num_hiddens_1)
        self.lin2 = nn.Linear(num_hiddens_1, num_hiddens_2)
        self.lin3 = nn.Linear(num_hiddens_2, num_outputs)
        self.dropout_1 = dropout_1
        self.dropout_2 = dropout_2

    def forward(self, X: Inputs) -> Scores:
        H1 = self._drop(torch.relu(self.lin1(X.flatten(1))), self.dropout_1)
        H2 = self._drop(torch.relu(self.lin2(H1)), self.dropout_2)
        return self.lin3(H2)

    def _drop(self, H: Float[Tensor, "batch hiddens"], p: float) -> Float[Tensor, "batch hiddens"]:
        return dropout_layer(H, p) if self.training else H


class DropoutMLP(nn.Module):
    """An MLP with two hidden layers and dropout (Srivastava et al. 2014; book, section 5.6)."""

    def __init__(
        self,
        num_outputs: int = 10,
        num_hiddens_1: int = 256,
        num_hiddens_2: int = 256,
        dropout_1: float = 0.5,
        dropout_2: float = 0.5,
        in_features: int = 784,
    ):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_features, num_hiddens_1),
            nn.ReLU(),
            nn.Dropout(dropout_1),
            nn.Linear(num_hiddens_1, num_hiddens_2),
            nn.ReLU(),
            nn.Dropout(dropout_2),
            nn.Linear(num_hiddens_2, num_outputs),
        )

    def forward(self, X: Inputs) -> Scores:
        return self.net(X)


class TwoHiddenMLPScratch(nn.Module):
    """An MLP with two hidden layers, from scratch (notes A3)."""

    def __init__(
        self,
        num_inputs: int = 784,
        num_outputs: int = 10,
        num_hiddens_1: int = 256,
        num_hiddens_2: int = 128,
        sigma: float = 0.01,
    ):
        super().__init__()
        self.W1 = normal(sigma, num_inputs, num_hiddens_1)
        self.b1 = nn.Parameter(torch.zeros(num_hiddens_1))
        self.W2 = normal(sigma, num_hiddens_1, num_hiddens_2)
        self.b2 = nn.Parameter(torch.zeros(num_hiddens_2))
        self.W3 = normal(sigma, num_hiddens_2, num_outputs)
        self.b3 = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, X: Inputs) -> Scores:
        H1 = relu(X.flatten(1) @ self.W1 + self.b1)
        H2 = relu(H1 @ self.W2 + self.b2)
        return H2 @ self.W3 + self.b3


class TwoHiddenMLP(nn.Module):
    """An MLP with two hidden layers (notes A4)."""

    def __init__(
        self,
        num_outputs: int = 10,
        num_hiddens_1: int = 256,
        num_hiddens_2: int = 128,
        in_features: int = 784,
    ):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_features, num_hiddens_1),
            nn.ReLU(),
            nn.Linear(num_hiddens_1, num_hiddens_2),
            nn.ReLU(),
            nn.Linear(num_hiddens_2, num_outputs),
        )

    def forward(self, X: Inputs) -> Scores:
        return self.net(X)


def compiled_mlp(
    num_inputs: int = 512, num_hiddens_1: int = 256, num_hiddens_2: int = 128, num_outputs: int = 2
) -> nn.Sequential:
    """Returns the MLP that is run eagerly and compiled (book, section 13.1)."""
    return nn.Sequential(
        nn.Linear(num_inputs, num_hiddens_1),
        nn.ReLU(),
        nn.Linear(num_hiddens_1, num_hiddens_2),
        nn.ReLU(),
        nn.Linear(num_hiddens_2, num_outputs),
    )
