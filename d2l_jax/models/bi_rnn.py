"""Bidirectional recurrent networks, from scratch and with a layer (Schuster and Paliwal 1997; book, section 10.4)."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.models.rnn import Hidden, Inputs, LayerStates, RNNScratch

Pair = tuple[Hidden, Hidden]
Outputs = Float[Array, "steps batch both_hiddens"]


class BiRNNScratch(nnx.Module):
    """Two `RNNScratch`, one from each end of the sequence, joined along the features (book, section 10.4).

    The attribute `num_hiddens` is that of both together: the size of an output. The state is that of both.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01, *, rngs: nnx.Rngs):
        self.f_rnn = RNNScratch(num_inputs, num_hiddens, sigma, rngs=rngs)
        self.b_rnn = RNNScratch(num_inputs, num_hiddens, sigma, rngs=rngs)
        self.num_hiddens = 2 * num_hiddens
        self.sigma = sigma

    def __call__(self, inputs: Inputs, state: Pair | None = None) -> tuple[Outputs, Pair]:
        f_H, b_H = (None, None) if state is None else state
        f_outputs, f_H = self.f_rnn(inputs, f_H)
        b_outputs, b_H = self.b_rnn(inputs[::-1], b_H)
        return jnp.concatenate([f_outputs, b_outputs[::-1]], axis=-1), (f_H, b_H)


class BiGRU(nnx.Module):
    """A layer of `nn.GRU` in both directions; the attribute `num_hiddens` counts both (book, section 10.4)."""

    def __init__(self, num_inputs: int, num_hiddens: int, *, rngs: nnx.Rngs):
        self.rnn = nn.GRU(num_inputs, num_hiddens, bidirectional=True, rngs=rngs)
        self.num_hiddens = 2 * num_hiddens

    def __call__(self, inputs: Inputs, state: LayerStates | None = None) -> tuple[Outputs, LayerStates]:
        return self.rnn(inputs, state)
