"""Long short-term memory, from scratch and with a layer (Hochreiter and Schmidhuber 1997; book, section 10.1)."""

from functools import partial

import torch
from torch import nn

from parity.reference.mlp import normal
from parity.reference.rnn import Hidden, Inputs, LayerStates, Outputs

Pair = tuple[Hidden, Hidden]


def gate(sigma: float, num_inputs: int, num_hiddens: int) -> tuple[nn.Parameter, nn.Parameter, nn.Parameter]:
    """The parameters of a gate: weights of the input and of the hidden state, from N(0, sigma), and a bias of 0."""
    W_x = normal(sigma, num_inputs, num_hiddens)
    W_h = normal(sigma, num_hiddens, num_hiddens)
    return W_x, W_h, nn.Parameter(torch.zeros(num_hiddens))


class LSTMScratch(nn.Module):
    """An LSTM from scratch, with the state (H, C), by default 0 (book, section 10.1)."""

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01):
        super().__init__()
        self.num_hiddens = num_hiddens
        self.sigma = sigma
        new = partial(gate, sigma, num_inputs, num_hiddens)
        self.W_xi, self.W_hi, self.b_i = new()
        self.W_xf, self.W_hf, self.b_f = new()
        self.W_xo, self.W_ho, self.b_o = new()
        self.W_xc, self.W_hc, self.b_c = new()

    def forward(self, inputs: Inputs, state: Pair | None = None) -> tuple[Outputs, Pair]:
        start = self.W_hi.new_zeros(inputs.shape[1], self.num_hiddens)
        H, C = (start, start) if state is None else state
        outputs = []
        for X in inputs:
            input_gate = torch.sigmoid(X @ self.W_xi + H @ self.W_hi + self.b_i)
            forget_gate = torch.sigmoid(X @ self.W_xf + H @ self.W_hf + self.b_f)
            output_gate = torch.sigmoid(X @ self.W_xo + H @ self.W_ho + self.b_o)
            C_tilde = torch.tanh(X @ self.W_xc + H @ self.W_hc + self.b_c)
            C = forget_gate * C + input_gate * C_tilde
            H = output_gate * torch.tanh(C)
            outputs.append(H)
        return torch.stack(outputs), (H, C)


class LSTM(nn.Module):
    """A layer of `nn.LSTM` (book, section 10.1)."""

    def __init__(self, num_inputs: int, num_hiddens: int):
        super().__init__()
        self.num_hiddens = num_hiddens
        self.rnn = nn.LSTM(num_inputs, num_hiddens)

    def forward(
        self, inputs: Inputs, state: tuple[LayerStates, LayerStates] | None = None
    ) -> tuple[Outputs, tuple[LayerStates, LayerStates]]:
        return self.rnn(inputs, state)
