"""Weight maps of recurrent layers whose tensors stand in dense layers beside the other layers of a whole model."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import pytest
import torch
from flax import nnx
from matching import F64, TOKENS, R, S, T, keys_by_path, values, verified

from d2l_jax.errors import InputError
from parity.match import map_of, match
from parity.models.nnx_model import NNXModel


class Projected(nnx.Module):
    """An LSTM with a projection, a scan in the model's own body."""

    def __init__(self, wide: int = 5):
        self.from_x = nnx.Linear(8, 20, rngs=R)
        self.from_h = nnx.Linear(3, 4 * wide, use_bias=False, rngs=R)
        self.smaller = nnx.Linear(5, 3, use_bias=False, rngs=R)
        self.out = nnx.Linear(3, 2, rngs=R)

    def __call__(self, x: jax.Array) -> jax.Array:
        def step(carry: tuple, x: jax.Array) -> tuple:
            i, f, g, o = jnp.split(self.from_x(x) + self.from_h(carry[0]), 4, -1)
            c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = self.smaller(jax.nn.sigmoid(o) * jnp.tanh(c))
            return (h, c), h

        zeros = jnp.zeros((len(x), 3), x.dtype), jnp.zeros((len(x), 5), x.dtype)
        return self.out(jax.lax.scan(step, zeros, x.swapaxes(0, 1))[1].swapaxes(0, 1))


class ProjectedTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.lstm = T.LSTM(8, 5, proj_size=3, batch_first=True)
        self.out = T.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(x)[0])


class Gated(nnx.Module):
    """A GRU with both biases, in a loop of the body."""

    def __init__(self):
        self.hidden, self.inputs = nnx.Linear(8, 24, rngs=R), nnx.Linear(8, 24, rngs=R)
        self.out = nnx.Linear(8, 2, rngs=R)

    def __call__(self, x: jax.Array) -> jax.Array:
        h = jnp.zeros((len(x), 8), x.dtype)
        for t in range(x.shape[1]):
            (r, z, n), (hr, hz, hn) = (jnp.split(y, 3, -1) for y in (self.inputs(x[:, t]), self.hidden(h)))
            r, z = jax.nn.sigmoid(r + hr), jax.nn.sigmoid(z + hz)
            h = (1 - z) * jnp.tanh(n + r * hn) + z * h
        return self.out(h)


class GatedTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = T.GRUCell(8, 8), T.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.out(h)


def test_a_recurrence_in_the_body_of_a_model():
    key_of = keys_by_path(verified(NNXModel(Projected()), ProjectedTorch(), S, torch.tensor(S)))
    assert key_of["smaller", "kernel"] == "lstm.weight_hr_l0"
    key_of = keys_by_path(verified(NNXModel(Gated()), GatedTorch(), S, torch.tensor(S)))
    assert key_of["hidden", "bias"] == "cell.bias_hh"


def test_control_one_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"only in PyTorch: lstm.weight_ih_l0 \(20, 8\)"):
        match(NNXModel(Projected(wide=6)), ProjectedTorch(), (S,), (torch.from_numpy(S),))


class Cell(nnx.Module):
    def __init__(self, inputs: int):
        self.x, self.h = nnx.Linear(inputs, 24, rngs=R), nnx.Linear(8, 24, rngs=R)


class Forecast(nnx.Module):
    """A GRU that reads, and another, the first by name, that is given one number; `flat`: no module for each."""

    def __init__(self, gates: str = "rzn", candidate: Callable = jnp.tanh, flat: bool = False):
        self.out, self.gates, self.candidate, self.flat = nnx.Linear(8, 1, rngs=R), gates, candidate, flat
        decoder, reader = Cell(1), Cell(3)
        if flat:
            self.xa, self.ha, self.xb, self.hb = decoder.x, decoder.h, reader.x, reader.h
        else:
            self.decoder, self.reader = decoder, reader

    def step(self, layers: tuple, x: jax.Array, h: jax.Array) -> jax.Array:
        ours, its = (dict(zip(self.gates, jnp.split(f(y), 3, -1), strict=True)) for f, y in zip(layers, (x, h)))
        r, z = (jax.nn.sigmoid(ours[gate] + its[gate]) for gate in "rz")
        return (1 - z) * self.candidate(ours["n"] + r * its["n"]) + z * h

    def __call__(self, x: jax.Array) -> jax.Array:
        h, y, outputs = jnp.zeros((len(x), 8), x.dtype), x[:, -1, :1], []
        reader = (self.xb, self.hb) if self.flat else (self.reader.x, self.reader.h)
        decoder = (self.xa, self.ha) if self.flat else (self.decoder.x, self.decoder.h)
        for t in range(x.shape[1]):
            h = self.step(reader, x[:, t], h)
        for _ in range(3):
            h = self.step(decoder, y, h)
            y = self.out(h)
            outputs.append(y)
        return jnp.concatenate(outputs, -1)


class ForecastTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.out = T.GRU(3, 8, batch_first=True), T.GRUCell(1, 8), T.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.encoder(x)[1][0]
        outputs = [x[:, -1, :1]]
        for _ in range(3):
            h = self.decoder(outputs[-1], h)
            outputs.append(self.out(h))
        return torch.cat(outputs[1:], -1)


NUMBERS = values(4, 3, 3)


@pytest.mark.parametrize("flat", [False, True])
def test_layers_of_one_cell_are_one_layers_and_others_are_told_by_what_they_do(flat):
    found = map_of(NNXModel(Forecast(flat=flat)), ForecastTorch(), (NUMBERS,), (torch.tensor(NUMBERS),))
    assert found.agrees
    key_of = keys_by_path(found.leaves)
    assert key_of["hb" if flat else "reader", *([] if flat else ["h"]), "kernel"] == "encoder.weight_hh_l0"


@pytest.mark.parametrize("candidate, agrees", [(jnp.tanh, True), (jax.nn.relu, False)])
def test_gates_in_another_order_beside_an_input_of_one_number(candidate, agrees):
    ours = NNXModel(Forecast("nzr", candidate))
    found = map_of(ours, ForecastTorch(), (NUMBERS,), (torch.tensor(NUMBERS),))
    assert found.agrees is agrees


class Bags(nnx.Module):
    def __init__(self):
        self.table, self.out = nnx.Embed(8, 6, rngs=R, **F64), nnx.Linear(6, 2, rngs=R)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        return self.out(jnp.stack([self.table(tokens).sum(1), self.table(tokens[:, :2]).sum(1)], 1))


class BagsTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.table, self.out = T.EmbeddingBag(8, 6, mode="sum"), T.Linear(6, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.out(torch.stack([self.table(tokens), self.table(tokens[:, :2])], 1))


def test_a_bag_that_is_summed_outside_of_the_embedding():
    verified(NNXModel(Bags()), BagsTorch(), TOKENS, torch.tensor(TOKENS))
