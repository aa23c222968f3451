"""Long short-term memory, from scratch and with a layer (Hochreiter and Schmidhuber 1997; book, section 10.1)."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array

from d2l_jax import nn
from d2l_jax.models.mlp import normal
from d2l_jax.models.rnn import Hidden, Inputs, LayerStates, Outputs

Pair = tuple[Hidden, Hidden]


def gate(rngs: nnx.Rngs, sigma: float, num_inputs: int, num_hiddens: int) -> tuple[nnx.Param, nnx.Param, nnx.Param]:
    """The parameters of a gate: weights of the input and of the hidden state, from N(0, sigma), and a bias of 0."""
    W_x = normal(rngs, sigma, num_inputs, num_hiddens)
    W_h = normal(rngs, sigma, num_hiddens, num_hiddens)
    return W_x, W_h, nnx.Param(jnp.zeros(num_hiddens, jnp.float32))


class LSTMScratch(nnx.Module):
    """An LSTM from scratch, with the state (H, C), by default 0 (book, section 10.1)."""

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01, *, rngs: nnx.Rngs):
        self.num_hiddens = num_hiddens
        self.sigma = sigma
        new = partial(gate, rngs, sigma, num_inputs, num_hiddens)
        self.W_xi, self.W_hi, self.b_i = new()
        self.W_xf, self.W_hf, self.b_f = new()
        self.W_xo, self.W_ho, self.b_o = new()
        self.W_xc, self.W_hc, self.b_c = new()

    def __call__(self, inputs: Inputs, state: Pair | None = None) -> tuple[Outputs, Pair]:
        if state is None:
            start = jnp.zeros((inputs.shape[1], self.num_hiddens), self.W_hi.dtype)
            state = start, start
        state, outputs = lax.scan(self._step, state, inputs)
        return outputs, state

    def _step(self, state: Pair, X: Array) -> tuple[Pair, Hidden]:
        H, C = state
        input_gate = jax.nn.sigmoid(X @ self.W_xi[...] + H @ self.W_hi[...] + self.b_i[None])
        forget_gate = jax.nn.sigmoid(X @ self.W_xf[...] + H @ self.W_hf[...] + self.b_f[None])
        output_gate = jax.nn.sigmoid(X @ self.W_xo[...] + H @ self.W_ho[...] + self.b_o[None])
        C_tilde = jnp.tanh(X @ self.W_xc[...] + H @ self.W_hc[...] + self.b_c[None])
        C = forget_gate * C + input_gate * C_tilde
        H = output_gate * jnp.tanh(C)
        return (H, C), H


class LSTM(nnx.Module):
    """A layer of `nn.LSTM` (book, section 10.1)."""

    def __init__(self, num_inputs: int, num_hiddens: int, *, rngs: nnx.Rngs):
        self.num_hiddens = num_hiddens
        self.rnn = nn.LSTM(num_inputs, num_hiddens, rngs=rngs)

    def __call__(
        self, inputs: Inputs, state: tuple[LayerStates, LayerStates] | None = None
    ) -> tuple[Outputs, tuple[LayerStates, LayerStates]]:
        return self.rnn(inputs, state)
