"""Recurrent language models, from scratch and with layers (book, sections 9.5, 9.6, 10.1, 10.2 and 10.3).

Shapes: ids (batch, steps), integers -> scores of the next token (batch, steps, vocab). Ids are traced and so not
checked: one beyond the vocabulary is read as zeros.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.models.gru import GRU, GRUScratch
from d2l_jax.models.lstm import LSTM, LSTMScratch
from d2l_jax.models.mlp import normal
from d2l_jax.models.rnn import RNN, RNNScratch, StackedRNNScratch

Ids = Int[Array, "batch steps"]
Scores = Float[Array, "batch steps vocab"]


class RNNLMScratch(nnx.Module):
    """H W_hq + b_q at every step of an `rnn` from scratch, whose sigma holds for W_hq too (section 9.5)."""

    def __init__(self, rnn: Any, vocab_size: int, *, rngs: nnx.Rngs):
        self.vocab_size = vocab_size
        self.W_hq = normal(rngs, rnn.sigma, rnn.num_hiddens, vocab_size)
        self.b_q = nnx.Param(jnp.zeros(vocab_size, jnp.float32))
        self.rnn = rnn

    def __call__(self, X: Ids) -> Scores:
        return self.run(X)[0]

    def run(self, X: Ids, state: Any = None) -> tuple[Scores, Any]:
        """Scores, and the state from which a further run goes on; None is the first."""
        outputs, state = self.rnn(jax.nn.one_hot(X.T, self.vocab_size, dtype=self.W_hq.dtype), state)
        return jnp.swapaxes(outputs @ self.W_hq[...] + self.b_q[...], 0, 1), state


class RNNLM(nnx.Module):
    """A dense layer at every step of an `rnn` (section 9.6)."""

    def __init__(self, rnn: Any, vocab_size: int, *, rngs: nnx.Rngs):
        self.vocab_size = vocab_size
        self.rnn = rnn
        self.linear = nn.Linear(rnn.num_hiddens, vocab_size, rngs=rngs)

    def __call__(self, X: Ids) -> Scores:
        return self.run(X)[0]

    def run(self, X: Ids, state: Any = None) -> tuple[Scores, Any]:
        """Scores, and the state from which a further run goes on; None is the first."""
        outputs, state = self.rnn(jax.nn.one_hot(X.T, self.vocab_size, dtype=self.linear.kernel.dtype), state)
        return jnp.swapaxes(self.linear(outputs), 0, 1), state


def rnn_lm_scratch(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLMScratch:
    """`RNNLMScratch` on `RNNScratch` (section 9.5)."""
    return RNNLMScratch(RNNScratch(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def rnn_lm(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLM:
    """`RNNLM` on `RNN` (section 9.6)."""
    return RNNLM(RNN(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def lstm_lm_scratch(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLMScratch:
    """`RNNLMScratch` on `LSTMScratch` (section 10.1)."""
    return RNNLMScratch(LSTMScratch(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def lstm_lm(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLM:
    """`RNNLM` on `LSTM` (section 10.1)."""
    return RNNLM(LSTM(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def gru_lm_scratch(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLMScratch:
    """`RNNLMScratch` on `GRUScratch` (section 10.2)."""
    return RNNLMScratch(GRUScratch(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def gru_lm(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLM:
    """`RNNLM` on `GRU` (section 10.2)."""
    return RNNLM(GRU(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def stacked_rnn_lm_scratch(
    vocab_size: int = 28, num_hiddens: int = 32, num_layers: int = 2, *, rngs: nnx.Rngs
) -> RNNLMScratch:
    """`RNNLMScratch` on `StackedRNNScratch` (section 10.3)."""
    return RNNLMScratch(StackedRNNScratch(vocab_size, num_hiddens, num_layers, rngs=rngs), vocab_size, rngs=rngs)


def deep_gru_lm(
    vocab_size: int = 28, num_hiddens: int = 32, num_layers: int = 2, dropout: float = 0.0, *, rngs: nnx.Rngs
) -> RNNLM:
    """`RNNLM` on `GRU` (section 10.3)."""
    return RNNLM(GRU(vocab_size, num_hiddens, num_layers, dropout, rngs=rngs), vocab_size, rngs=rngs)
