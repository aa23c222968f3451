"""Recurrent language models, from scratch and with layers (book, sections 9.5, 9.6, 10.1, 10.2 and 10.3).

Shapes: ids (batch, steps), integers -> scores of the next token (batch, steps, vocab).
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from parity.reference.gru import GRU, GRUScratch
from parity.reference.lstm import LSTM, LSTMScratch
from parity.reference.mlp import normal
from parity.reference.rnn import RNN, RNNScratch, StackedRNNScratch

Ids = Int[Tensor, "batch steps"]
Scores = Float[Tensor, "batch steps vocab"]


class RNNLMScratch(nn.Module):
    """A language model from scratch: scores H W_hq + b_q at every step of an `rnn` (book, section 9.5).

    W_hq is drawn from N(0, rnn.sigma).
    """

    def __init__(self, rnn: Any, vocab_size: int):
        super().__init__()
        self.vocab_size = vocab_size
        self.W_hq = normal(rnn.sigma, rnn.num_hiddens, vocab_size)
        self.b_q = nn.Parameter(torch.zeros(vocab_size))
        self.rnn = rnn

    def forward(self, X: Ids) -> Scores:
        return self.run(X)[0]

    def run(self, X: Ids, state: Any = None) -> tuple[Scores, Any]:
        """Returns the scores and the state from which a further run continues; the state None is the start."""
        outputs, state = self.rnn(F.one_hot(X.T.long(), self.vocab_size).to(self.W_hq.dtype), state)
        return (outputs @ self.W_hq + self.b_q).swapaxes(0, 1), state


class RNNLM(nn.Module):
    """A language model: a dense layer at every step of an `rnn` (book, section 9.6)."""

    def __init__(self, rnn: Any, vocab_size: int):
        super().__init__()
        self.vocab_size = vocab_size
        self.rnn = rnn
        self.linear = nn.Linear(rnn.num_hiddens, vocab_size)

    def forward(self, X: Ids) -> Scores:
        return self.run(X)[0]

    def run(self, X: Ids, state: Any = None) -> tuple[Scores, Any]:
        """Returns the scores and the state from which a further run continues; the state None is the start."""
        outputs, state = self.rnn(F.one_hot(X.T.long(), self.vocab_size).to(self.linear.weight.dtype), state)
        return self.linear(outputs).swapaxes(0, 1), state


def rnn_lm_scratch(vocab_size: int = 28, num_hiddens: int = 32) -> RNNLMScratch:
    """A language model of a plain RNN, from scratch (book, section 9.5)."""
    return RNNLMScratch(RNNScratch(vocab_size, num_hiddens), vocab_size)


def rnn_lm(vocab_size: int = 28, num_hiddens: int = 32) -> RNNLM:
    """A language model of a plain RNN layer (book, section 9.6)."""
    return RNNLM(RNN(vocab_size, num_hiddens), vocab_size)


def lstm_lm_scratch(vocab_size: int = 28, num_hiddens: int = 32) -> RNNLMScratch:
    """A language model of an LSTM, from scratch (book, section 10.1)."""
    return RNNLMScratch(LSTMScratch(vocab_size, num_hiddens), vocab_size)


def lstm_lm(vocab_size: int = 28, num_hiddens: int = 32) -> RNNLM:
    """A language model of an LSTM layer (book, section 10.1)."""
    return RNNLM(LSTM(vocab_size, num_hiddens), vocab_size)


def gru_lm_scratch(vocab_size: int = 28, num_hiddens: int = 32) -> RNNLMScratch:
    """A language model of a GRU, from scratch (book, section 10.2)."""
    return RNNLMScratch(GRUScratch(vocab_size, num_hiddens), vocab_size)


def gru_lm(vocab_size: int = 28, num_hiddens: int = 32) -> RNNLM:
    """A language model of a GRU layer (book, section 10.2)."""
    return RNNLM(GRU(vocab_size, num_hiddens), vocab_size)


def stacked_rnn_lm_scratch(vocab_size: int = 28, num_hiddens: int = 32, num_layers: int = 2) -> RNNLMScratch:
    """A language model of stacked RNNs, from scratch (book, section 10.3)."""
    return RNNLMScratch(StackedRNNScratch(vocab_size, num_hiddens, num_layers), vocab_size)


def deep_gru_lm(vocab_size: int = 28, num_hiddens: int = 32, num_layers: int = 2, dropout: float = 0.0) -> RNNLM:
    """A language model of several GRU layers (book, section 10.3)."""
    return RNNLM(GRU(vocab_size, num_hiddens, num_layers, dropout), vocab_size)
