"""A check depends on no global generator, and leaves each of them as it was."""

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.errors import InputError
from parity.match.draws import AnswersOfPyTorch, SameForAShape

TABLE = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class Coder(nnx.Module):
    """A variational autoencoder of other names than PyTorch's, so that its map is sought by values."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.mean = nnx.Linear(6, 4, rngs=rngs)
        self.logvar = nnx.Linear(6, 4, rngs=rngs)
        self.decoder = nnx.Sequential(nnx.Linear(4, 6, rngs=rngs), nnx.relu, nnx.Linear(6, 6, rngs=rngs))
        self.rngs = rngs

    def __call__(self, x):
        mean = self.mean(x)
        logvar = self.logvar(x)
        return self.decoder(mean + jnp.exp(0.5 * logvar) * jax.random.normal(self.rngs.noise(), mean.shape))


class TorchCoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc21 = torch.nn.Linear(6, 4)
        self.fc22 = torch.nn.Linear(6, 4)
        self.fc3 = torch.nn.Linear(4, 6)
        self.fc4 = torch.nn.Linear(6, 6)

    def forward(self, x):
        mean = self.fc21(x)
        logvar = self.fc22(x)
        z = mean + torch.randn_like(logvar) * torch.exp(0.5 * logvar)
        return self.fc4(torch.relu(self.fc3(z)))


def seed(number):
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)


def states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


def rows(seeded_with):
    ours = Coder()
    theirs = TorchCoder()
    seed(seeded_with)
    before = states()
    result = parity.check(ours, theirs, TABLE, steps=1, tiers=("float64",))
    assert states() == before
    partners = {leaf.key: leaf.path for leaf in result.weights}
    return result.status, partners, [(str(row.key), row.gap, row.threshold) for row in result.rows["float64"]]


@pytest.mark.slow
def test_the_same_check_gives_the_same_rows_whatever_was_drawn_before():
    first = rows(0)
    assert first[0] == "pass"
    assert first[1]["fc22.weight"] == ("logvar", "kernel")
    assert first == rows(0) == rows(1) == rows(2)


def test_global_generators_are_restored_where_a_check_raises():
    ours = Coder()
    theirs = TorchCoder()
    seed(3)
    before = states()
    with pytest.raises(InputError):
        parity.check(ours, theirs, TABLE[:, :5])
    assert states() == before


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 5, 7)])
def test_both_sides_get_the_same_numbers_for_a_shape_in_any_order(shape):
    with SameForAShape() as drawing:
        first = torch.randn(shape)
        torch.rand(3)
        second = torch.randn(shape)
    assert torch.equal(first, second)
    answer = AnswersOfPyTorch(drawing.seen)
    images = len(shape) == 4
    ours = np.asarray(answer((2, 5, 7, 3) if images else shape, True))
    np.testing.assert_array_equal(ours.transpose(0, 3, 1, 2) if images else ours, first)
    assert not np.array_equal(answer((3,), True), answer((3,), False))
