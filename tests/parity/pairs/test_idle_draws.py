"""Draws that change nothing: of layers that are left out with a probability of 0, and dropout that is thrown away."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

import parity
from d2l_jax.errors import InputError
from parity.models.random_numbers import RandomRequest
from parity.twin.idle_draws import told_idle

IDS = np.random.default_rng(0).integers(0, 11, (4, 5))
SHORT = {"steps": 1, "tiers": ("float64",), "layers": False}


def sinusoids(rows: int, columns: int) -> np.ndarray:
    angles = np.arange(rows)[:, None] / 10000 ** (np.arange(columns // 2) / (columns // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], 1).astype(np.float32)


class Net(linen.Module):
    first: int = 0

    @linen.compact
    def __call__(self, ids, train: bool = False):
        x = linen.Embed(11, 8, name="words")(ids) + jnp.asarray(sinusoids(9, 8))[self.first : self.first + 5]
        for number in range(2):
            branch = linen.relu(linen.Dense(8, name=f"layer_{number}")(x))
            x = x + linen.Dropout(0.2)(branch, deterministic=not train)
        return linen.Dense(3, name="head")(x)


class Sinusoids(torch.nn.Embedding):
    """Keeps its table as a frozen parameter."""

    def __init__(self, rows: int, columns: int):
        super().__init__(rows, columns)
        self.weight = torch.nn.Parameter(torch.tensor(sinusoids(rows, columns)), requires_grad=False)

    def forward(self, ids):
        return super().forward(torch.arange(ids.shape[1]))


class TorchNet(torch.nn.Module):
    def __init__(self, left_out: float = 0.0, started: bool = True):
        super().__init__()
        self.words, self.positions = torch.nn.Embedding(11, 8), Sinusoids(9, 8)
        self.layer_0, self.layer_1, self.head = (torch.nn.Linear(8, n) for n in (8, 8, 3))
        self.dropout = torch.nn.Dropout(0.2)
        self.left_out = left_out
        if not started:  # as residual branches are that begin with nothing
            for layer in (self.layer_0, self.layer_1):
                torch.nn.init.zeros_(layer.weight)
                torch.nn.init.zeros_(layer.bias)

    def forward(self, ids):
        x = self.words(ids) + self.positions(ids)
        for layer in (self.layer_0, self.layer_1):
            if self.training and torch.rand([]) < self.left_out:
                continue
            x = x + self.dropout(layer(x).relu())
        return self.head(x)


def test_numbers_that_change_nothing_and_tables_that_are_frozen_have_no_partner():
    parity.check(Net(), TorchNet(), IDS, **SHORT).raise_if_failed()


def test_control_another_table_is_seen():
    assert parity.check(Net(first=1), TorchNet(), IDS, **SHORT).status == "fail"


@pytest.mark.parametrize("started", [True, False])
def test_control_a_number_that_leaves_layers_out_is_not_idle(started):
    with pytest.raises(InputError, match="random numbers differ"):
        parity.check(Net(), TorchNet(0.3, started), IDS, **SHORT)


def test_each_number_is_asked_with_the_others_at_either_end():
    def between():  # the second and third decide together: no one of them is idle
        one, first, last = (float(torch.rand(shape)) for shape in ((), (1,), ()))
        return {"output": torch.ones(3) * (first < 0.5 < last)}

    numbers = [RandomRequest(shape, uniform=True) for shape in ((), (1,), ())]
    assert [each.idle for each in told_idle(numbers, between)] == [True, False, False]


class Dropping(nnx.Module):
    """Drops numbers behind its layer in one of three ways: not at all, `thrown` away, or `used`."""

    def __init__(self, way=""):
        rngs = nnx.Rngs(0)
        self.first, self.last, self.way = nnx.Linear(6, 6, rngs=rngs), nnx.Linear(6, 3, rngs=rngs), way
        self.beside, self.between = nnx.Dropout(0.3, rngs=rngs), nnx.Dropout(0.2, rngs=rngs)

    def __call__(self, x):
        x = nnx.tanh(self.first(x))
        beside = self.beside(x) if self.way else x
        return self.last(self.between(beside if self.way == "used" else x))


class TorchDropping(torch.nn.Module):
    def __init__(self, way="", training=True):
        super().__init__()
        self.first, self.last, self.way = torch.nn.Linear(6, 6), torch.nn.Linear(6, 3), way
        self.between, self.in_training_alone = torch.nn.Dropout(0.2), training
        self.register_buffer("mean", torch.zeros(6), persistent=False)

    def forward(self, x):
        x = self.first(x).tanh()
        beside = x
        if self.way:
            beside = torch.nn.functional.dropout(x, 0.3, self.training or not self.in_training_alone)
        if self.way == "averaged":
            self.mean = beside.detach().mean(0)
        return self.last(self.between(beside if self.way == "used" else x))


NUMBERS = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("flax", "pytorch", "training"), [("thrown", "", True), ("", "thrown", False), ("thrown", "used", True)]
)
def test_dropout_whose_result_is_thrown_away_has_no_partner(flax, pytorch, training):
    result = parity.check(Dropping(flax), TorchDropping(pytorch, training), NUMBERS, **SHORT)
    wrong = [row.key.tensor for row in result.rows["float64"] if not row.passed]
    assert wrong == ["dropout"] * (pytorch == "used")


@pytest.mark.parametrize(("flax", "pytorch"), [("used", ""), ("", "used"), ("", "averaged")])
def test_control_dropout_of_which_an_output_or_a_buffer_is_made_is_not_idle(flax, pytorch):
    result = parity.check(Dropping(flax), TorchDropping(pytorch), NUMBERS, **SHORT)
    wrong = [row.key.tensor for row in result.rows["float64"] if not row.passed]
    assert len(wrong) == 1 and "dropout" in wrong[0]
