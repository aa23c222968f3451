"""Recurrent language models, from scratch and with layers (book, sections 9.5, 9.6, 10.1, 10.2 and 10.3).

Shapes: ids (batch, steps), integers -> scores of the next token (batch, steps, vocab). Ids are traced, so
nothing checks them: an id beyond the vocabulary is read as zeros.
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
    """A language model from scratch: scores H W_hq + b_q at every step of an `rnn` (book, section 9.5).

    W_hq is drawn from N(0, rnn.sigma).
    """

    def __init__(self, rnn: Any, vocab_size: int, *, rngs: nnx.Rngs):
        self.vocab_size = vocab_size
        self.W_hq = normal(rngs, rnn.sigma, rnn.num_hiddens, vocab_size)
        self.b_q = nnx.Param(jnp.zeros(vocab_size, jnp.float32))
        self.rnn = rnn

    def __call__(self, X: Ids) -> Scores:
        return self.run(X)[0]

    def run(self, X: Ids, state: Any = None) -> tuple[Scores, Any]:
        """Returns the scores and the state from which a further run continues; the state None is the start."""
        outputs, state = self.rnn(jax.nn.one_hot(X.T, self.vocab_size, dtype=self.W_hq.dtype), state)
        return jnp.swapaxes(outputs @ self.W_hq[...] + self.b_q[None, None], 0, 1), state


class RNNLM(nnx.Module):
    """A language model: a dense layer at every step of an `rnn` (book, section 9.6)."""

    def __init__(self, rnn: Any, vocab_size: int, *, rngs: nnx.Rngs):
        self.vocab_size = vocab_size
        self.rnn = rnn
        self.linear = nn.Linear(rnn.num_hiddens, vocab_size, rngs=rngs)

    def __call__(self, X: Ids) -> Scores:
        return self.run(X)[0]

    def run(self, X: Ids, state: Any = None) -> tuple[Scores, Any]:
        """Returns the scores and the state from which a further run continues; the state None is the start."""
        outputs, state = self.rnn(jax.nn.one_hot(X.T, self.vocab_size, dtype=self.linear.kernel.dtype), state)
        return jnp.swapaxes(self.linear(outputs), 0, 1), state


def rnn_lm_scratch(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLMScratch:
    """A language model of a plain RNN, from scratch (book, section 9.5)."""
    return RNNLMScratch(RNNScratch(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def rnn_lm(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLM:
    """A language model of a plain RNN layer (book, section 9.6)."""
    return RNNLM(RNN(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def lstm_lm_scratch(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLMScratch:
    """A language model of an LSTM, from scratch (book, section 10.1)."""
    return RNNLMScratch(LSTMScratch(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def lstm_lm(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLM:
    """A language model of an LSTM layer (book, section 10.1)."""
    return RNNLM(LSTM(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def gru_lm_scratch(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLMScratch:
    """A language model of a GRU, from scratch (book, section 10.2)."""
    return RNNLMScratch(GRUScratch(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def gru_lm(vocab_size: int = 28, num_hiddens: int = 32, *, rngs: nnx.Rngs) -> RNNLM:
    """A language model of a GRU layer (book, section 10.2)."""
    return RNNLM(GRU(vocab_size, num_hiddens, rngs=rngs), vocab_size, rngs=rngs)


def stacked_rnn_lm_scratch(
    vocab_size: int = 28, num_hiddens: int = 32, num_layers: int = 2, *, rngs: nnx.Rngs
) -> RNNLMScratch:
    """A language model of stacked RNNs, from scratch (book, section 10.3)."""
    return RNNLMScratch(StackedRNNScratch(vocab_size, num_hiddens, num_layers, rngs=rngs), vocab_size, rngs=rngs)


def deep_gru_lm(
    vocab_size: int = 28, num_hiddens: int = 32, num_layers: int = 2, dropout: float = 0.0, *, rngs: nnx.Rngs
) -> RNNLM:
    """A language model of several GRU layers (book, section 10.3)."""
    return RNNLM(GRU(vocab_size, num_hiddens, num_layers, dropout, rngs=rngs), vocab_size, rngs=rngs)
