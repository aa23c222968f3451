"""Plain recurrent networks, from scratch, stacked, and with a layer (book, sections 9.5, 9.6 and 10.3)."""

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.models.mlp import normal

Inputs = Float[Array, "steps batch features"]
Outputs = Float[Array, "steps batch hiddens"]
Hidden = Float[Array, "batch hiddens"]
Layers = Float[Array, "layers batch hiddens"]


class RNNScratch(nnx.Module):
    """H = tanh(X W_xh + H W_hh + b_h), from H = 0 unless given; weights from N(0, sigma) (section 9.5)."""

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01, *, rngs: nnx.Rngs):
        self.num_hiddens, self.sigma = num_hiddens, sigma
        self.W_xh = normal(rngs, sigma, num_inputs, num_hiddens)
        self.W_hh = normal(rngs, sigma, num_hiddens, num_hiddens)
        self.b_h = nnx.Param(jnp.zeros(num_hiddens, jnp.float32))

    def __call__(self, inputs: Inputs, state: Hidden | None = None) -> tuple[Outputs, Hidden]:
        if state is None:
            state = jnp.zeros((inputs.shape[1], self.num_hiddens), self.W_hh.dtype)
        state, outputs = lax.scan(self._step, state, inputs)
        return outputs, state

    def _step(self, H: Hidden, X: Array) -> tuple[Hidden, Hidden]:
        H = jnp.tanh(X @ self.W_xh[...] + H @ self.W_hh[...] + self.b_h[...])
        return H, H


class StackedRNNScratch(nnx.Module):
    """`RNNScratch` in layers, each of which reads the outputs of the one before; a state for each (section 10.3)."""

    def __init__(self, num_inputs: int, num_hiddens: int, num_layers: int, sigma: float = 0.01, *, rngs: nnx.Rngs):
        self.num_hiddens, self.sigma = num_hiddens, sigma
        sizes = [num_hiddens if layer else num_inputs for layer in range(num_layers)]
        self.rnns = nnx.List([RNNScratch(size, num_hiddens, sigma, rngs=rngs) for size in sizes])

    def __call__(self, inputs: Inputs, state: tuple[Hidden, ...] | None = None) -> tuple[Outputs, tuple[Hidden, ...]]:
        outputs, last = inputs, []
        for rnn, first in zip(self.rnns, state or [None] * len(self.rnns), strict=True):
            outputs, H = rnn(outputs, first)
            last.append(H)
        return outputs, tuple(last)


class RNN(nnx.Module):
    """One layer of `nn.RNN` (section 9.6)."""

    def __init__(self, num_inputs: int, num_hiddens: int, *, rngs: nnx.Rngs):
        self.num_hiddens = num_hiddens
        self.rnn = nn.RNN(num_inputs, num_hiddens, rngs=rngs)

    def __call__(self, inputs: Inputs, state: Layers | None = None) -> tuple[Outputs, Layers]:
        return self.rnn(inputs, state)
