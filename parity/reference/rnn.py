"""Plain recurrent networks, from scratch, stacked, and with a layer (book, sections 9.5, 9.6 and 10.3)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.mlp import normal

Inputs = Float[Tensor, "steps batch features"]
Outputs = Float[Tensor, "steps batch hiddens"]
Hidden = Float[Tensor, "batch hiddens"]
LayerStates = Float[Tensor, "layers batch hiddens"]


class RNNScratch(nn.Module):
    """A plain RNN from scratch: H = tanh(X W_xh + H W_hh + b_h), by default from H = 0 (book, section 9.5).

    Weights start from N(0, sigma), biases from 0.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01):
        super().__init__()
        self.num_hiddens = num_hiddens
        self.sigma = sigma
        self.W_xh = normal(sigma, num_inputs, num_hiddens)
        self.W_hh = normal(sigma, num_hiddens, num_hiddens)
        self.b_h = nn.Parameter(torch.zeros(num_hiddens))

    def forward(self, inputs: Inputs, state: Hidden | None = None) -> tuple[Outputs, Hidden]:
        H = self.W_hh.new_zeros(inputs.shape[1], self.num_hiddens) if state is None else state
        outputs = []
        for X in inputs:
            H = torch.tanh(X @ self.W_xh + H @ self.W_hh + self.b_h)
            outputs.append(H)
        return torch.stack(outputs), H


class StackedRNNScratch(nn.Module):
    """Stacked RNNs from scratch, each reading the outputs of the one before (book, section 10.3).

    The state is a tuple with the state of each.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, num_layers: int, sigma: float = 0.01):
        super().__init__()
        self.num_hiddens = num_hiddens
        self.sigma = sigma
        sizes = [num_hiddens if layer else num_inputs for layer in range(num_layers)]
        self.rnns = nn.ModuleList([RNNScratch(size, num_hiddens, sigma) for size in sizes])

    def forward(self, inputs: Inputs, state: tuple[Hidden, ...] | None = None) -> tuple[Outputs, tuple[Hidden, ...]]:
        outputs = inputs
        last = []
        for rnn, first in zip(self.rnns, state or [None] * len(self.rnns), strict=True):
            outputs, H = rnn(outputs, first)
            last.append(H)
        return outputs, tuple(last)


class RNN(nn.Module):
    """A layer of `nn.RNN` (book, section 9.6)."""

    def __init__(self, num_inputs: int, num_hiddens: int):
        super().__init__()
        self.num_hiddens = num_hiddens
        self.rnn = nn.RNN(num_inputs, num_hiddens)

    def forward(self, inputs: Inputs, state: LayerStates | None = None) -> tuple[Outputs, LayerStates]:
        return self.rnn(inputs, state)
