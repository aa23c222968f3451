"""Bidirectional recurrent networks, from scratch and with a layer (Schuster and Paliwal 1997; book, section 10.4)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.rnn import Hidden, Inputs, LayerStates, RNNScratch

Pair = tuple[Hidden, Hidden]
Outputs = Float[Tensor, "steps batch both_hiddens"]


class BiRNNScratch(nn.Module):
    """Two `RNNScratch`, one from each end of the sequence, joined along the features (book, section 10.4).

    The attribute `num_hiddens` is that of both together: the size of an output. The state is that of both.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01):
        super().__init__()
        self.f_rnn = RNNScratch(num_inputs, num_hiddens, sigma)
        self.b_rnn = RNNScratch(num_inputs, num_hiddens, sigma)
        self.num_hiddens = 2 * num_hiddens
        self.sigma = sigma

    def forward(self, inputs: Inputs, state: Pair | None = None) -> tuple[Outputs, Pair]:
        f_H, b_H = (None, None) if state is None else state
        f_outputs, f_H = self.f_rnn(inputs, f_H)
        b_outputs, b_H = self.b_rnn(inputs.flip(0), b_H)
        return torch.cat([f_outputs, b_outputs.flip(0)], -1), (f_H, b_H)


class BiGRU(nn.Module):
    """A layer of `nn.GRU` in both directions; the attribute `num_hiddens` counts both (book, section 10.4)."""

    def __init__(self, num_inputs: int, num_hiddens: int):
        super().__init__()
        self.rnn = nn.GRU(num_inputs, num_hiddens, bidirectional=True)
        self.num_hiddens = 2 * num_hiddens

    def forward(self, inputs: Inputs, state: LayerStates | None = None) -> tuple[Outputs, LayerStates]:
        return self.rnn(inputs, state)
