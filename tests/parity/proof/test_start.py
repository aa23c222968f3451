"""How a model starts is part of it: fresh models of both sides are compared."""

from dataclasses import replace
from functools import partial
from typing import Literal

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

import parity
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.init import init_weights, kaiming_uniform, torch_bias, torch_weight, xavier_normal, xavier_uniform
from d2l_jax.models import MLP
from parity.compare.chance import log_chance
from parity.proof.cases import check_case
from parity.start.compare import compared
from parity.start.draws import FreshFlax
from parity.start.naming import Fans, named

X = np.random.default_rng(0).normal(size=(4, 12)).astype(np.float32)
quickly = partial(parity.check, steps=1, layers=False, tiers=("float64",))


class Torch(torch.nn.Module):
    """A dense layer between dropout and another one, as PyTorch starts them."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(12, 40)
        self.dropout = torch.nn.Dropout(0.5)
        self.second = torch.nn.Linear(40, 10)
        self.token = torch.nn.Parameter(torch.zeros(1, 12))

    def forward(self, x):
        return self.second(self.dropout(torch.tanh(self.first(x + self.token))))


class Flax(nnx.Module):
    """The same, as it is told to start; `kernel` and `bias` are initialisers."""

    def __init__(self, rngs, kernel=torch_weight, bias=torch_bias, token=jnp.zeros, deterministic=False):
        self.first = nnx.Linear(12, 40, kernel_init=kernel, bias_init=bias(12), rngs=rngs)
        self.dropout = nnx.Dropout(0.5, deterministic=deterministic, rngs=rngs)
        self.second = nnx.Linear(40, 10, kernel_init=kernel, bias_init=bias(40), rngs=rngs)
        self.token = nnx.Param(token((1, 12)))

    def __call__(self, x):
        return self.second(self.dropout(jnp.tanh(self.first(x + self.token))))


def zeros(fan_in):
    return nnx.initializers.zeros


def pair(start: Literal["inform", "compare"] = "compare", **options):
    return quickly(lambda: Flax(nnx.Rngs(0), **options), Torch, X, start=start)


def texts(result):
    return {each.name: str(each) for each in result.start if not each.same}


def test_a_pair_that_starts_alike_passes():
    result = pair()
    assert result.status == "pass"
    assert not texts(result) and len(result.start) == 6
    assert [row for row in result.rows["float64"] if row.key.phase == "start"]


CONTROLS = {
    "Flax's defaults": (
        dict(kernel=nnx.initializers.lecun_normal(), bias=zeros),
        {
            "first.bias": "Flax starts 0; PyTorch PyTorch's default, 1 / sqrt(fan_in), uniform within 0.29, std 0.17",
            "first.weight": "Flax starts LeCun normal (truncated), std 0.29; "
            "PyTorch PyTorch's default, 1 / sqrt(fan_in), uniform within 0.29, std 0.17",
        },
    ),
    "a token of ones": (dict(token=jnp.ones), {"token": "Flax starts 1; PyTorch 0"}),
    "normal of equal width": (
        dict(kernel=nnx.initializers.variance_scaling(1 / 3, "fan_in", "normal")),
        {"first.weight": "Flax starts normal, std 0.17; PyTorch PyTorch's default"},
    ),
    "Xavier": (dict(kernel=xavier_uniform()), {"first.weight": "Flax starts Xavier uniform"}),
    "fan_out": (
        dict(kernel=nnx.initializers.variance_scaling(1 / 3, "fan_out", "uniform")),
        {"second.weight": "Flax starts PyTorch's default uniform, but by fan_out"},
    ),
    "orthogonal": (
        dict(kernel=nnx.initializers.orthogonal()),
        {"first.weight": "Flax starts orthogonal, std 0.16; PyTorch PyTorch's default"},
    ),
    "biases of 0": (dict(bias=zeros), {"second.bias": "Flax starts 0; PyTorch"}),
    "evaluation mode": (
        dict(deterministic=True),
        {"dropout.mode": "Flax starts in evaluation mode; PyTorch in training mode"},
    ),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_control_another_start_is_named_and_fails_where_it_is_compared(control):
    options, expected = CONTROLS[control]
    result = pair(**options)
    assert result.status == "fail"
    assert result.blame is not None and result.blame.direction == "start"
    for name, text in expected.items():
        assert text in texts(result)[name]


def test_it_informs_where_it_is_not_to_be_compared():
    result = pair("inform", bias=zeros)
    assert result.status == "pass"
    assert set(texts(result)) == {"first.bias", "second.bias"}


@pytest.mark.slow
def test_two_models_tell_what_their_many_numbers_tell():
    alike = quickly(Flax(nnx.Rngs(0)), Torch(), X, start="compare")
    assert alike.status == "pass", texts(alike)
    other = quickly(Flax(nnx.Rngs(0), kernel=nnx.initializers.normal(0.5), bias=zeros), Torch(), X)
    assert set(texts(other)) == {"first.weight", "first.bias", "second.weight", "second.bias"}


def test_a_linen_module_is_drawn_by_its_init():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(10, name="second")(jnp.tanh(linen.Dense(40, name="first")(x)))

    def theirs():
        return torch.nn.Sequential(torch.nn.Linear(12, 40), torch.nn.Tanh(), torch.nn.Linear(40, 10))

    result = quickly(Net(), theirs, X)
    assert result.status == "pass"
    assert texts(result)["0.bias"].startswith("0.bias: Flax starts 0; PyTorch")
    assert "LeCun normal (truncated)" in texts(result)["0.weight"]


def test_a_maker_that_needs_arguments_is_one_line():
    with pytest.raises(InputError, match="takes no arguments"):
        quickly(lambda: Flax(nnx.Rngs(0)), torch.nn.Linear, X)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'inform' or 'compare'"):
        quickly(Flax(nnx.Rngs(0)), Torch(), X, start="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["lenet", "mlp-scratch", "dropout-mlp-scratch"])
def test_a_case_of_the_book_starts_alike(name):
    result = check_case(get(name), steps=1, layers=False, tiers=("float64",))
    assert result.status == "pass"
    assert any(row.key.phase == "start" for row in result.rows["float64"])


def with_weights(init):
    def make(**options):
        return init_weights(MLP(**options), init, rngs=options["rngs"])

    make.__name__ = "MLP"
    return make


@pytest.mark.parametrize("init", [xavier_uniform(), xavier_normal(), kaiming_uniform()])
def test_control_a_case_with_another_initialiser_fails(init):
    case = replace(get("mlp"), model=with_weights(init))
    result = check_case(case, steps=1, layers=False, tiers=("float64",))
    assert result.status == "fail"
    assert result.blame is not None and result.blame.direction == "start"


def test_the_start_is_drawn_alike_every_time():
    draws = [list(FreshFlax(lambda: get("lenet").build(probe=True)).draws(2)) for _ in range(2)]
    first, second = (np.asarray(drawn[0]["net"]["0"]["kernel"]) for drawn in draws)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, draws[0][1]["net"]["0"]["kernel"])


FAMILIES = {
    "uniform": lambda random, n: random.uniform(-(3**0.5), 3**0.5, n),
    "normal": lambda random, n: random.normal(size=n),
    "laplace": lambda random, n: random.laplace(size=n),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sizes", [(24, 24), (24, 400), (2000, 2000)])
def test_equal_distributions_seldom_seem_to_differ(family, sizes):
    random = np.random.default_rng(0)
    logs = [log_chance(*(FAMILIES[family](random, n) for n in sizes)) for _ in range(1000)]
    assert np.mean(np.array(logs) < -2) <= 0.02
    assert min(logs) > -6


def test_control_a_width_or_a_family_shows():
    random = np.random.default_rng(0)
    uniform, normal = (FAMILIES[name](random, 1000) for name in ("uniform", "normal"))
    assert log_chance(uniform, normal) < -9
    assert log_chance(uniform, 1.1 * FAMILIES["uniform"](random, 1000)) < -9
    assert log_chance(normal, 1.5 * FAMILIES["normal"](random, 1000)) < -9


def test_a_row_that_is_never_drawn_is_seen():
    random = np.random.default_rng(0)
    theirs = [{"weight": random.normal(size=(5, 4))} for _ in range(20)]
    ours = [{"weight": random.normal(size=(5, 4))} for _ in range(20)]
    for draw in theirs:
        draw["weight"][0] = 0
    (embedding,) = compared(ours, theirs, {})
    assert not embedding.same
    assert "but 4 of 20 numbers 0 (row 0)" in embedding.torch
    assert all(each.same for each in compared(theirs[:10], theirs[10:], {}))


def test_one_draw_that_seems_alike_is_no_proof():
    random = np.random.default_rng(0)
    ours, theirs = ({"weight": random.normal(size=(4, 5)), "bias": np.zeros(4)} for _ in range(2))
    assert {each.name: each.told for each in compared([ours], [theirs], {})} == {"weight": None, "bias": True}
    (other,) = compared([{"bias": np.ones(4)}], [{"bias": np.zeros(4)}], {})
    assert other.told is False
    several = compared(*([{"weight": random.normal(size=(4, 5))} for _ in range(6)] for _ in range(2)), {})
    assert [each.told for each in several] == [True]
    assert all(str(each.row.gap) != "-0.0" for each in several)


def test_distributions_have_the_names_that_people_use():
    random = np.random.default_rng(0)
    fans = Fans(inputs=100, outputs=400)
    assert named(random.normal(size=5000) / 10, fans) == "LeCun normal, std 0.1"
    assert named(random.normal(size=5000) / 250**0.5, fans) == "Xavier normal, std 0.063"
    assert named(random.normal(size=5000) / 200**0.5, fans) == "He normal by fan_out, std 0.071"
    assert named(random.normal(size=5000) / 50, Fans()) == "normal, std 0.02"
    assert named(random.uniform(1, 2, 5000), Fans()) == "uniform from 1 to 2"
    assert named(np.zeros(3), fans) == "0"
