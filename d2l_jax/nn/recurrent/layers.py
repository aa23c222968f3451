"""The three recurrent layers."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from d2l_jax.errors import InputError
from d2l_jax.nn.recurrent.stack import Recurrent
from d2l_jax.nn.recurrent.steps import Weights, gru_step, lstm_step, rnn_step

ACTIVATIONS = {"tanh": jnp.tanh, "relu": nnx.relu}


class RNN(Recurrent[Array]):
    """The plain recurrence, `torch.nn.RNN`, with "tanh" or "relu" as `nonlinearity` (book, section 9.6)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        nonlinearity: str = "tanh",
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        rngs: nnx.Rngs,
    ):
        if nonlinearity not in ACTIVATIONS:
            raise InputError(f'RNN: nonlinearity {nonlinearity!r} where "tanh" or "relu" is right')
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias=bias, dropout=dropout, bidirectional=bidirectional, rngs=rngs
        )

    def step(self, weights: Weights, x: Array, state: Array) -> Array:
        return rnn_step(weights, x, state, ACTIVATIONS[self.nonlinearity])

    def start(self, zeros: Array) -> Array:
        return zeros


class LSTM(Recurrent[tuple[Array, Array]]):
    """Long short-term memory, `torch.nn.LSTM`; its state is a pair (H, C) (book, section 10.1)."""

    gates = 4

    def step(self, weights: Weights, x: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        return lstm_step(weights, x, state)

    def start(self, zeros: Array) -> tuple[Array, Array]:
        return zeros, zeros


class GRU(Recurrent[Array]):
    """Gated recurrent units, `torch.nn.GRU` (book, section 10.2)."""

    gates = 3

    def step(self, weights: Weights, x: Array, state: Array) -> Array:
        return gru_step(weights, x, state)

    def start(self, zeros: Array) -> Array:
        return zeros
