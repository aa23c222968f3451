"""Weight maps of cells in loops that users write, and of models with several inputs and outputs."""

import jax
import jax.numpy as jnp
import pytest
import torch
from flax import linen, nnx
from matching import (
    Chain,
    R,
    S,
    T,
    keys_by_path,
    linen_model,
    recurrent,
    values,
    verified,
)

from parity.models.nnx_model import NNXModel


class OwnLSTM(nnx.Module):
    """A scan over layers of its own, which nobody sees being called."""

    def __init__(self, biases: int):
        self.x = nnx.Linear(8, 32, rngs=R)
        self.h = nnx.Linear(8, 32, use_bias=biases > 1, rngs=R)

    def __call__(self, x: jax.Array) -> jax.Array:
        def step(carry: tuple, x: jax.Array) -> tuple:
            i, f, g, o = jnp.split(self.x(x) + self.h(carry[0]), 4, -1)
            c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((len(x), 8), x.dtype)
        return jax.lax.scan(step, (zero, zero), x.swapaxes(0, 1))[1].swapaxes(0, 1)


@pytest.mark.parametrize("biases", [1, 2])
def test_a_scan_of_the_users_own(biases):
    ours = NNXModel(Chain(OwnLSTM(biases), OwnLSTM(biases), nnx.Linear(8, 8, rngs=R)))
    theirs = T.Sequential(recurrent("LSTM", 2, False), T.Linear(8, 8))
    key_of = keys_by_path(verified(ours, theirs, S, torch.tensor(S)))
    assert key_of["parts", 1, "h", "kernel"] == "0.inner.weight_hh_l1"


class StepsTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.below = T.LSTMCell(8, 8)
        self.above = T.GRUCell(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = c = y = torch.zeros(len(x), 8, dtype=x.dtype)
        for t in range(x.shape[1]):
            h, c = self.below(x[:, t], (h, c))
            y = self.above(h, y)
        return y


class Steps(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        above = linen.GRUCell(8, param_dtype=jnp.float64)
        below = linen.LSTMCell(8, param_dtype=jnp.float64)
        y = jnp.zeros((len(x), 8))
        carry = (y, y)
        for t in range(x.shape[1]):
            carry, h = below(carry, x[:, t])
            y, _ = above(y, h)
        return y


def test_cells_in_a_loop():
    verified(linen_model(Steps(), S), StepsTorch(), S, torch.tensor(S))


class PairTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.a = T.Linear(8, 8)
        self.b = T.Linear(8, 8)
        self.both = T.Bilinear(8, 8, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple:
        x = self.a(x)
        y = self.b(y)
        return self.both(x, y), x


class Pair(nnx.Module):
    def __init__(self):
        self.p = nnx.Linear(8, 8, rngs=R)
        self.q = nnx.Linear(8, 8, rngs=R)
        self.cube = nnx.Param(jnp.zeros((8, 8, 4)))
        self.offset = nnx.Param(jnp.zeros(4))

    def __call__(self, x: jax.Array, y: jax.Array) -> tuple:
        y = self.p(y)
        x = self.q(x)
        return jnp.einsum("bi,bj,ijk->bk", x, y, self.cube[...]) + self.offset[...], x


def test_two_inputs_two_outputs_and_axes_that_only_values_tell():
    x = values(3, 8)
    y = values(4, 8)[:3]
    leaves = verified(NNXModel(Pair()), PairTorch(), (x, y), (torch.tensor(x), torch.tensor(y)))
    assert {leaf.path[0]: leaf.axes for leaf in leaves}["cube"] == (2, 0, 1)
