"""The weight map of recurrent layers of every kind, depth and direction, and of states that are handed on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from matching import (
    F64,
    Chain,
    R,
    S,
    T,
    linen_model,
    recurrent,
    verified,
)

from d2l_jax.errors import InputError
from parity.match import match
from parity.models.nnx_model import NNXModel

CELLS = {"LSTM": nnx.LSTMCell, "optimized LSTM": nnx.OptimizedLSTMCell, "RNN": nnx.SimpleCell}
LINEN_CELLS = {
    "LSTM": linen.LSTMCell,
    "optimized LSTM": linen.OptimizedLSTMCell,
    "GRU": linen.GRUCell,
    "RNN": linen.SimpleCell,
}


@pytest.mark.parametrize("depth, both", [(1, False), (3, False), (2, True)])
@pytest.mark.parametrize("kind", CELLS)
def test_recurrent_layers(kind, depth, both):
    def rnn(inputs: int) -> nnx.Module:
        single = lambda: nnx.RNN(CELLS[kind](inputs, 8, dtype=jnp.float64, rngs=R, **F64))  # noqa: E731
        return nnx.Bidirectional(single(), single()) if both else single()

    layers = [rnn(8 if i == 0 or not both else 16) for i in range(depth)]
    verified(NNXModel(Chain(*layers)), recurrent(kind, depth, both), S, torch.from_numpy(S))


class LinenStack(linen.Module):
    cell: type
    depth: int
    both: bool

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(self.depth):
            single = lambda: linen.RNN(self.cell(8, **F64))  # noqa: E731
            x = linen.Bidirectional(single(), single())(x) if self.both else single()(x)
        return x


@pytest.mark.parametrize("depth, both", [(2, False), (2, True)])
@pytest.mark.parametrize("kind", LINEN_CELLS)
def test_linen_recurrent_layers(kind, depth, both):
    model = linen_model(LinenStack(LINEN_CELLS[kind], depth, both), S)
    verified(model, recurrent(kind, depth, both), S, torch.from_numpy(S))


def test_control_a_gru_without_hidden_bias_is_refused():
    model = NNXModel(nnx.RNN(nnx.GRUCell(8, 8, rngs=R)))
    with pytest.raises(InputError, match=r"only in PyTorch: inner.bias_hh_l0 \(24,\).*nnx.GRUCell has no bias"):
        match(model, recurrent("GRU", 1, False), (S,), (torch.from_numpy(S),))


class StatesTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.encoder = T.LSTM(8, 6, batch_first=True)
        self.decoder = T.LSTM(8, 6, batch_first=True)
        self.out = T.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, states = self.encoder(x)
        return self.out(self.decoder(x, states)[0])


class States(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.out = nnx.Linear(6, 6, rngs=rngs)
        self.second = nnx.RNN(nnx.OptimizedLSTMCell(8, 6, rngs=rngs, **F64))
        self.first = nnx.RNN(nnx.OptimizedLSTMCell(8, 6, rngs=rngs, **F64), return_carry=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        carry, _ = self.first(x)
        return self.out(self.second(x, initial_carry=carry))


@pytest.mark.slow
def test_states_are_handed_on():
    leaves = verified(NNXModel(States(R)), StatesTorch(), S, torch.from_numpy(S))
    assert {leaf.key.split(".")[0] for leaf in leaves if leaf.path[0] == "first"} == {"encoder"}


class Cell(nnx.Module):
    """One step of a GRU, whose names do not tell which layer is that of the input."""

    def __init__(self):
        self.w_i, self.w_h = (nnx.Linear(4, 12, rngs=nnx.Rngs(0)) for _ in range(2))

    def __call__(self, x, h):
        r, z, n = jnp.split(self.w_i(x), 3, -1)
        r_h, z_h, n_h = jnp.split(self.w_h(h), 3, -1)
        z = nnx.sigmoid(z + z_h)
        return (1 - z) * jnp.tanh(n + nnx.sigmoid(r + r_h) * n_h) + z * h


class ByCells(nnx.Module):
    def __init__(self):
        self.cell = Cell()

    def __call__(self, x):
        h = jnp.zeros((len(x), 4), x.dtype)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return h


class ByGRU(T.Module):
    def __init__(self):
        super().__init__()
        self.gru = T.GRU(4, 4, batch_first=True)

    def forward(self, x):
        return self.gru(x)[1][0]


def test_a_bias_of_a_cell_stands_beside_the_kernel_of_its_side():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    found = match(NNXModel(ByCells()), ByGRU(), (x,), (torch.tensor(x),))
    assert {leaf.key: leaf.path[1:] for leaf in found} == {
        "gru.weight_ih_l0": ("w_i", "kernel"),
        "gru.weight_hh_l0": ("w_h", "kernel"),
        "gru.bias_ih_l0": ("w_i", "bias"),
        "gru.bias_hh_l0": ("w_h", "bias"),
    }
