"""Gated recurrent units, from scratch and with layers (Cho et al. 2014; book, sections 10.2 and 10.3)."""

from functools import partial

import torch
from torch import nn

from parity.reference.lstm import gate
from parity.reference.rnn import Hidden, Inputs, LayerStates, Outputs


class GRUScratch(nn.Module):
    """A GRU from scratch, whose reset gate acts on H before the product, unlike in `GRU` (book, section 10.2)."""

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01):
        super().__init__()
        self.num_hiddens = num_hiddens
        self.sigma = sigma
        new = partial(gate, sigma, num_inputs, num_hiddens)
        self.W_xz, self.W_hz, self.b_z = new()
        self.W_xr, self.W_hr, self.b_r = new()
        self.W_xh, self.W_hh, self.b_h = new()

    def forward(self, inputs: Inputs, state: Hidden | None = None) -> tuple[Outputs, Hidden]:
        H = self.W_hh.new_zeros(inputs.shape[1], self.num_hiddens) if state is None else state
        outputs = []
        for X in inputs:
            Z = torch.sigmoid(X @ self.W_xz + H @ self.W_hz + self.b_z)
            R = torch.sigmoid(X @ self.W_xr + H @ self.W_hr + self.b_r)
            H_tilde = torch.tanh(X @ self.W_xh + (R * H) @ self.W_hh + self.b_h)
            H = Z * H + (1 - Z) * H_tilde
            outputs.append(H)
        return torch.stack(outputs), H


class GRU(nn.Module):
    """Layers of `nn.GRU`, with dropout between them (book, sections 10.2 and 10.3)."""

    def __init__(self, num_inputs: int, num_hiddens: int, num_layers: int = 1, dropout: float = 0.0):
        super().__init__()
        self.num_hiddens = num_hiddens
        self.rnn = nn.GRU(num_inputs, num_hiddens, num_layers, dropout=dropout)

    def forward(self, inputs: Inputs, state: LayerStates | None = None) -> tuple[Outputs, LayerStates]:
        return self.rnn(inputs, state)
