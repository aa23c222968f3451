"""Gated recurrent units, from scratch and with layers (Cho et al. 2014; book, sections 10.2 and 10.3)."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array

from d2l_jax import nn
from d2l_jax.models.lstm import gate
from d2l_jax.models.rnn import Hidden, Inputs, LayerStates, Outputs


class GRUScratch(nnx.Module):
    """A GRU from scratch, whose reset gate acts on H before the product, unlike in `GRU` (book, section 10.2)."""

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01, *, rngs: nnx.Rngs):
        self.num_hiddens = num_hiddens
        self.sigma = sigma
        new = partial(gate, rngs, sigma, num_inputs, num_hiddens)
        self.W_xz, self.W_hz, self.b_z = new()
        self.W_xr, self.W_hr, self.b_r = new()
        self.W_xh, self.W_hh, self.b_h = new()

    def __call__(self, inputs: Inputs, state: Hidden | None = None) -> tuple[Outputs, Hidden]:
        if state is None:
            state = jnp.zeros((inputs.shape[1], self.num_hiddens), self.W_hh.dtype)
        state, outputs = lax.scan(self._step, state, inputs)
        return outputs, state

    def _step(self, H: Hidden, X: Array) -> tuple[Hidden, Hidden]:
        Z = jax.nn.sigmoid(X @ self.W_xz[...] + H @ self.W_hz[...] + self.b_z[None])
        R = jax.nn.sigmoid(X @ self.W_xr[...] + H @ self.W_hr[...] + self.b_r[None])
        H_tilde = jnp.tanh(X @ self.W_xh[...] + (R * H) @ self.W_hh[...] + self.b_h[None])
        H = Z * H + (1 - Z) * H_tilde
        return H, H


class GRU(nnx.Module):
    """Layers of `nn.GRU`, with dropout between them (book, sections 10.2 and 10.3)."""

    def __init__(self, num_inputs: int, num_hiddens: int, num_layers: int = 1, dropout: float = 0.0, *, rngs: nnx.Rngs):
        self.num_hiddens = num_hiddens
        self.rnn = nn.GRU(num_inputs, num_hiddens, num_layers, dropout=dropout, rngs=rngs)

    def __call__(self, inputs: Inputs, state: LayerStates | None = None) -> tuple[Outputs, LayerStates]:
        return self.rnn(inputs, state)
