"""The builder's guide: containers, shared layers, control flow, custom layers (book, chapter 6)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Inputs = Float[Tensor, "batch inputs"]
Outputs = Float[Tensor, "batch outputs"]


def sequential_mlp(num_inputs: int = 20, num_hiddens: int = 256, num_outputs: int = 10) -> nn.Sequential:
    """An MLP with a hidden layer as a plain chain (book, sections 6.1 and 6.2)."""
    return nn.Sequential(nn.Linear(num_inputs, num_hiddens), nn.ReLU(), nn.Linear(num_hiddens, num_outputs))


class CustomMLP(nn.Module):
    """An MLP with a hidden layer as a custom module (book, section 6.1)."""

    def __init__(self, num_inputs: int = 20, num_hiddens: int = 256, num_outputs: int = 10):
        super().__init__()
        self.hidden = nn.Linear(num_inputs, num_hiddens)
        self.out = nn.Linear(num_hiddens, num_outputs)

    def forward(self, X: Inputs) -> Outputs:
        return self.out(torch.relu(self.hidden(X)))


class MySequential(nn.Module):
    """A custom container that calls its children "0", "1", ... in order (book, section 6.1)."""

    def __init__(self, *modules: nn.Module):
        super().__init__()
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def forward(self, X: Inputs) -> Outputs:
        for module in self.children():
            X = module(X)
        return X


def my_sequential_mlp(num_inputs: int = 20, num_hiddens: int = 256, num_outputs: int = 10) -> MySequential:
    """An MLP with a hidden layer in `MySequential` (book, section 6.1)."""
    return MySequential(nn.Linear(num_inputs, num_hiddens), nn.ReLU(), nn.Linear(num_hiddens, num_outputs))


class FixedHiddenMLP(nn.Module):
    """A module with a constant weight, a layer used twice, and a loop that depends on the data (book, section 6.1)."""

    rand_weight: Tensor

    def __init__(self, num_inputs: int = 20):
        super().__init__()
        self.register_buffer("rand_weight", torch.rand(num_inputs, num_inputs))
        self.linear = nn.Linear(num_inputs, num_inputs)

    def forward(self, X: Inputs) -> Float[Tensor, ""]:
        X = self.linear(X)
        X = torch.relu(X @ self.rand_weight + 1)
        X = self.linear(X)
        while X.abs().sum() > 1:
            X = X / 2
        return X.sum()


class NestMLP(nn.Module):
    """A module with a chain inside (book, section 6.1)."""

    def __init__(self, num_inputs: int = 20):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(num_inputs, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.linear = nn.Linear(32, 16)

    def forward(self, X: Inputs) -> Outputs:
        return self.linear(self.net(X))


def chimera(num_inputs: int = 20) -> nn.Sequential:
    """A chain of custom and library modules whose output is a single number (book, section 6.1)."""
    return nn.Sequential(NestMLP(num_inputs), nn.Linear(16, 20), FixedHiddenMLP())


def tied_mlp(num_inputs: int = 4, num_hiddens: int = 8, num_outputs: int = 1) -> nn.Sequential:
    """An MLP with the same layer at positions 2 and 4, whose two gradients add up (book, section 6.2)."""
    shared = nn.Linear(num_hiddens, num_hiddens)
    return nn.Sequential(
        nn.Linear(num_inputs, num_hiddens),
        nn.ReLU(),
        shared,
        nn.ReLU(),
        shared,
        nn.ReLU(),
        nn.Linear(num_hiddens, num_outputs),
    )


class CenteredLayer(nn.Module):
    """A layer without parameters that subtracts the mean of all elements (book, section 6.5)."""

    def forward(self, X: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return X - X.mean()


def centered_linear(num_inputs: int = 8, num_outputs: int = 128) -> nn.Sequential:
    """A dense layer and a `CenteredLayer` (book, section 6.5)."""
    return nn.Sequential(nn.Linear(num_inputs, num_outputs), CenteredLayer())


class MyLinear(nn.Module):
    """A custom dense layer with a ReLU, whose weight and bias come from N(0, 1) (book, section 6.5).

    The book computes with detached data, so the parameters get no gradient; `corrected` lets them learn.
    """

    def __init__(self, in_units: int, units: int, corrected: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_units, units))
        self.bias = nn.Parameter(torch.randn(units))
        self.corrected = corrected

    def forward(self, X: Inputs) -> Outputs:
        if self.corrected:
            return torch.relu(X @ self.weight + self.bias)
        return torch.relu(X @ self.weight.detach() + self.bias.detach())


def my_linear_mlp(num_inputs: int = 64, num_hiddens: int = 8, num_outputs: int = 1) -> nn.Sequential:
    """An MLP of two `MyLinear` layers (book, section 6.5)."""
    return nn.Sequential(MyLinear(num_inputs, num_hiddens), MyLinear(num_hiddens, num_outputs))


class SavedMLP(nn.Module):
    """An MLP with a hidden layer, to be saved and loaded (book, section 6.6)."""

    def __init__(self, num_inputs: int = 20, num_hiddens: int = 256, num_outputs: int = 10):
        super().__init__()
        self.hidden = nn.Linear(num_inputs, num_hiddens)
        self.output = nn.Linear(num_hiddens, num_outputs)

    def forward(self, X: Inputs) -> Outputs:
        return self.output(torch.relu(self.hidden(X)))
