"""Dropout that Flax alone calls: it is left out and told, and all else is compared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from flax.nnx.nn import attention
from torch.nn import functional as F

import parity
from d2l_jax import InputError
from parity.blame.lone_dropout import blame_lone, lone_rows
from parity.models.random_numbers import RandomRequest, imposed_on_jax, numbers, requested
from parity.twin.paired_requests import pairings

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


class Net(nnx.Module):
    """One dropout, called at the places whose numbers are given: the inputs, the units, twice, the outputs."""

    def __init__(self, *places, rate=0.25, bias=0.0):
        rngs = nnx.Rngs(0)
        self.places, self.bias = places, bias
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.hidden, self.out = nnx.Linear(5, 7, rngs=rngs), nnx.Linear(7, 3, rngs=rngs)

    def __call__(self, x):
        dropped = [self.drop if place in self.places else lambda x: x for place in range(4)]
        h = dropped[1](nnx.relu(self.hidden(dropped[0](x))) + self.bias)
        return dropped[3](self.out(dropped[2](jnp.tanh(h))))


class LinenNet(linen.Module):
    places: tuple = ()

    @linen.compact
    def __call__(self, x, train: bool):
        drop = linen.Dropout(0.25, deterministic=not train)
        dropped = [drop if place in self.places else lambda x: x for place in range(4)]
        h = dropped[1](linen.relu(linen.Dense(7)(dropped[0](x))))
        return dropped[3](linen.Dense(3)(dropped[2](jnp.tanh(h))))


class TorchNet(torch.nn.Module):
    def __init__(self, *places):
        super().__init__()
        self.places = places
        self.drop = torch.nn.Dropout(0.25)
        self.hidden, self.out = torch.nn.Linear(5, 7), torch.nn.Linear(7, 3)

    def forward(self, x):
        dropped = [self.drop if place in self.places else lambda x: x for place in range(4)]
        h = dropped[1](F.relu(self.hidden(dropped[0](x))))
        return dropped[3](self.out(dropped[2](torch.tanh(h))))


def checked(ours, theirs):
    return parity.check(ours, theirs, X, steps=1, tiers=("float64",))


def wrong(result):
    return [str(row.key) for row in result.rows["float64"] if not row.passed]


LONE = {
    "where PyTorch has none": (Net(1), TorchNet(), "drop: Flax drops"),
    "the first of two alike": (Net(1, 2), TorchNet(2), "drop (call 1): Flax drops"),
    "the last of two alike": (Net(1, 2), TorchNet(1), "drop (call 2): Flax drops"),
    "Linen's": (LinenNet((1, 2)), TorchNet(2), "Dropout_0 (call 1): Flax drops"),
    "all but one": (Net(0, 1, 3), TorchNet(1), "drop (call 1), drop (call 3): Flax drops"),
}


SLOW = "where PyTorch has none", "the last of two alike", "all but one"


@pytest.mark.parametrize("case", [pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW)) for each in LONE])
def test_what_flax_alone_drops_is_left_out_and_told(case):
    ours, theirs, text = LONE[case]
    result = checked(ours, theirs)
    assert result.status == "fail" and result.blame and result.blame.cause == "dropout-added", result.blame
    assert result.blame.text.startswith(text) and all("dropout in Flax" in key for key in wrong(result))


def test_a_dropout_in_another_place_is_told_with_both():
    result = checked(Net(3), TorchNet(0))
    assert result.blame and result.blame.cause == "dropout-missing"
    assert [other.cause for other in result.blame.others] == ["dropout-added"] and len(wrong(result)) == 2
    assert "in another place in Flax" in result.blame.text


@pytest.mark.parametrize("ours", [Net(1, 2), Net(1, 2, rate=0.0)], ids=["equal", "rates of 0"])
def test_control_equal_dropout_passes(ours):
    assert checked(ours, TorchNet(1, 2) if ours.drop.rate else TorchNet())


@pytest.mark.slow
def test_control_another_mistake_is_told_beside_it():
    """Neither call explains the outputs: the last is taken, and what else is wrong stays wrong."""
    result = checked(Net(1, 2, bias=0.5), TorchNet(1))
    assert result.blame and result.blame.cause != "dropout-added" and "drop (call 2)" in result.blame.text
    assert "forward/output" in wrong(result)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, rate: nnx.Dropout(rate, rngs=nnx.Rngs(0))(x),
        lambda x, rate: linen.Dropout(rate, deterministic=False).apply({}, x, rngs={"dropout": KEY}),
        lambda x, rate: attention.dot_product_attention_weights(x, x, dropout_rng=KEY, dropout_rate=rate),
    ],
    ids=["NNX", "Linen", "attention"],
)
def test_stock_dropout_that_is_left_out_changes_nothing(call):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4, 5)))
    (request,) = requested(lambda x: call(x, 0.4), x)
    assert request.stock and not request.keeps
    kept = numbers([RandomRequest(request.shape, stock=True, keeps=True)], np.random.default_rng(0))
    with imposed_on_jax([jnp.asarray(value) for value in kept]):
        found = call(x, 0.4)
    np.testing.assert_allclose(found, call(x, 0.0), rtol=1e-12)


def stock(*shapes, site=""):
    return [RandomRequest(shape, site=site, place=site, stock=True) for shape in shapes]


def test_which_call_may_be_extra():
    theirs = [RandomRequest((3,)), RandomRequest((4,))]
    assert [each.extra for each in pairings(stock((3,), (4,)), theirs)] == [()]
    assert [each.order for each in pairings(stock((5,), (3,), (4,)), theirs)] == [(1, 2)]
    found = pairings(stock((3,), (4,), (4,)), theirs)
    assert [each.order for each in found] == [(0, 1), (0, 2)]  # the last one first
    in_place = pairings([*stock((3,), site="a"), *stock((3,), site="b")], [RandomRequest((3,), site="b")])
    assert [each.extra for each in in_place] == [("a",), ("b",)]
    moved = pairings(stock((3,), (5,)), [RandomRequest((3,)), RandomRequest((4,), place="x")])[0]
    assert (moved.order, moved.dropping, moved.extra) == ((0, 2), ("x",), ("",))
    many = pairings(stock(*[(3,), (4,)] * 12), theirs * 6)
    assert many[0].order == tuple(range(12))


def test_control_what_a_model_draws_by_hand_is_refused():
    for drawn in RandomRequest((3,)), RandomRequest((3,), normal=True), RandomRequest((3,), uniform=True):
        with pytest.raises(InputError, match="in Flax alone"):
            pairings([drawn, *stock((4,))], [RandomRequest((4,))])
    with pytest.raises(InputError, match="in PyTorch alone"):
        pairings(stock((4,)), [RandomRequest((3,), normal=True)])


def test_rows_and_blame_of_either_side():
    assert blame_lone(()) is None and lone_rows(()) == []
    both = blame_lone(("a after b",), ("c",), ("",))
    assert both and both.layer == "a" and len(both.others) == 2 and "the body: Flax drops" in both.text
    assert [str(row.key) for row in lone_rows((), (), ("", "a (call 2)"))] == [
        "forward/dropout in Flax",
        "forward/a.dropout in Flax (call 2)",
    ]
