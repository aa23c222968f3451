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
LayerStates = Float[Array, "layers batch hiddens"]


class RNNScratch(nnx.Module):
    """A plain RNN from scratch: H = tanh(X W_xh + H W_hh + b_h), by default from H = 0 (book, section 9.5).

    Weights start from N(0, sigma), biases from 0.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01, *, rngs: nnx.Rngs):
        self.num_hiddens = num_hiddens
        self.sigma = sigma
        self.W_xh = normal(rngs, sigma, num_inputs, num_hiddens)
        self.W_hh = normal(rngs, sigma, num_hiddens, num_hiddens)
        self.b_h = nnx.Param(jnp.zeros(num_hiddens, jnp.float32))

    def __call__(self, inputs: Inputs, state: Hidden | None = None) -> tuple[Outputs, Hidden]:
        if state is None:
            state = jnp.zeros((inputs.shape[1], self.num_hiddens), self.W_hh.dtype)
        state, outputs = lax.scan(self._step, state, inputs)
        return outputs, state

    def _step(self, H: Hidden, X: Array) -> tuple[Hidden, Hidden]:
        H = jnp.tanh(X @ self.W_xh[...] + H @ self.W_hh[...] + self.b_h[None])
        return H, H


class StackedRNNScratch(nnx.Module):
    """Stacked RNNs from scratch, each reading the outputs of the one before (book, section 10.3).

    The state is a tuple with the state of each.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, num_layers: int, sigma: float = 0.01, *, rngs: nnx.Rngs):
        self.num_hiddens = num_hiddens
        self.sigma = sigma
        sizes = [num_hiddens if layer else num_inputs for layer in range(num_layers)]
        self.rnns = nnx.List([RNNScratch(size, num_hiddens, sigma, rngs=rngs) for size in sizes])

    def __call__(self, inputs: Inputs, state: tuple[Hidden, ...] | None = None) -> tuple[Outputs, tuple[Hidden, ...]]:
        outputs = inputs
        last = []
        for rnn, first in zip(self.rnns, state or [None] * len(self.rnns), strict=True):
            outputs, H = rnn(outputs, first)
            last.append(H)
        return outputs, tuple(last)


class RNN(nnx.Module):
    """A layer of `nn.RNN` (book, section 9.6)."""

    def __init__(self, num_inputs: int, num_hiddens: int, *, rngs: nnx.Rngs):
        self.num_hiddens = num_hiddens
        self.rnn = nn.RNN(num_inputs, num_hiddens, rngs=rngs)

    def __call__(self, inputs: Inputs, state: LayerStates | None = None) -> tuple[Outputs, LayerStates]:
        return self.rnn(inputs, state)
