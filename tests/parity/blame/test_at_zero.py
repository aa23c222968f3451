"""Slopes where a number is exactly 0, which random weights never make: zeros are planted."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from flax import nnx

import parity
from d2l_jax.weights.leaf import Leaf
from parity.twin.planted_zeros import with_planted_zeros
from parity.twin.twin import State

X = np.random.default_rng(0).normal(size=(4, 6)).astype("f4")


class Net(nnx.Module):
    def __init__(self, function, rngs: nnx.Rngs):
        self.first = nnx.Linear(6, 6, rngs=rngs)
        self.last = nnx.Linear(6, 3, rngs=rngs)
        self.function = function

    def __call__(self, x):
        return self.last(self.function(self.first(x)))


class TorchNet(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.first = torch.nn.Linear(6, 6)
        self.last = torch.nn.Linear(6, 3)
        self.function = function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


def checked(ours, theirs, x=X) -> parity.Result:
    return parity.check(Net(ours, nnx.Rngs(0)), TorchNet(theirs), x, steps=1, tiers=("float64",))


@pytest.mark.parametrize(
    ("ours", "theirs", "cause"),
    [
        (lambda x: jnp.maximum(x, 0), torch.relu, "jnp.maximum(x, 0) has the slope 1/2"),
        (jnp.abs, torch.abs, "jnp.abs has the slope 1 at 0"),
        (nnx.leaky_relu, F.leaky_relu, "jax.nn.leaky_relu has the slope 1 at 0"),
        (nnx.PReLU(), torch.nn.PReLU(), "Flax's PReLU has the slope 1 at 0"),
        (lambda x: jnp.clip(x, 0, 1), lambda x: x.clamp(0, 1), "jnp.clip has the slope 1/2 at a bound"),
    ],
)
def test_another_slope_at_zero_is_named(ours, theirs, cause):
    result = checked(ours, theirs)
    assert {row.phase for row in result.rows["float64"] if not row.passed} == {"at zero"}
    assert result.blame is not None
    assert result.blame.cause == "slope-at-zero"
    assert cause in result.blame.text
    assert "only there (first.weight, first.bias)" in result.blame.text


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (nnx.relu, torch.relu),
        (nnx.relu6, F.relu6),
        (lambda x: jnp.where(x > 0, x, 0.01 * x), F.leaky_relu),
        (lambda x: jnp.sign(x) * x, torch.abs),
        (nnx.hard_swish, F.hardswish),
        (nnx.hard_sigmoid, F.hardsigmoid),
        (
            lambda x: x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + 1e-6),
            lambda x: x / (x.norm(dim=-1)[:, None] + 1e-6),
        ),
        (lambda x: jax.nn.softmax(x), lambda x: x.softmax(-1)),
    ],
)
def test_equal_slopes_pass_and_are_compared(ours, theirs):
    result = checked(ours, theirs)
    assert result.status == "pass", result.blame
    assert {row.name for row in result.rows["float64"] if row.phase == "at zero"} >= {"first.weight", "first.bias"}


class Upwards(nnx.Module):
    def __init__(self, function):
        self.up = nnx.ConvTranspose(3, 4, (2,), (2,), padding="VALID", transpose_kernel=True, rngs=nnx.Rngs(0))
        self.function = function

    def __call__(self, x):
        return self.function(self.up(x))


class TorchUpwards(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up = torch.nn.ConvTranspose1d(3, 4, 2, 2)

    def forward(self, x):
        return torch.relu(self.up(x.transpose(1, 2))).transpose(1, 2)


@pytest.mark.parametrize("function", [nnx.relu, lambda x: jnp.maximum(x, 0)])
def test_a_unit_of_a_transposed_convolution_is_planted_too(function):
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("f4")
    result = parity.check(Upwards(function), TorchUpwards(), x, steps=1, tiers=("float64",))
    assert result.status == ("pass" if function is nnx.relu else "fail")
    assert not result.blame or result.blame.cause == "slope-at-zero"


def test_a_function_that_meets_no_zero_is_not_blamed():
    never = lambda x: jnp.maximum(x**2 + 1, 0)  # noqa: E731, as Flax's norms take the largest of a variance and 0
    theirs = lambda x: x.norm(dim=0, keepdim=True) * x.norm(dim=1, keepdim=True) * (x**2 + 1)  # noqa: E731
    blank = X * np.array([[0], [1], [1], [1]], "f4")  # so that a fresh model's norm is 0 there
    result = checked(lambda x: norm(x, 0) * norm(x, 1) * never(x), theirs, blank)
    assert result.blame is not None and "jnp.sqrt has an infinite slope" in result.blame.text
    assert "jnp.maximum" not in result.blame.text


def norm(x, axis):
    return jnp.sqrt((x**2).sum(axis, keepdims=True))


@pytest.mark.parametrize(("ours", "right"), [(nnx.relu, True), (lambda x: jnp.maximum(x, 0), False)])
def test_a_root_that_dead_units_alone_meet_is_a_note_and_hides_no_other_slope(ours, right):
    result = checked(lambda x: norm(x, 0) + ours(x), lambda x: x.norm(dim=0, keepdim=True) + torch.relu(x))
    assert result.status == ("pass" if right else "fail"), result.blame
    assert any("a unit whose weights are all 0" in note for note in result.notes) == right


def test_a_maximum_that_no_two_numbers_share_is_not_blamed():
    result = checked(lambda x: jax.nn.softmax(nnx.leaky_relu(x)), lambda x: F.leaky_relu(x).softmax(-1))
    assert result.blame is not None and "leaky_relu" in result.blame.text and "jnp.max" not in result.blame.text


def test_a_question_without_an_answer_is_not_asked():
    result = checked(lambda x: jnp.log(x**2), lambda x: torch.log(x**2))  # -inf in both where x is 0
    assert result.status == "pass", result.blame
    assert not any(row.phase == "at zero" for row in result.rows["float64"])


@pytest.mark.parametrize("name", ["gamma", "beta"])
def test_the_first_channel_of_a_norm_alone_is_planted(name):
    """Plants nothing in a scale, and one channel of a bias, however many axes of length 1 stand beside."""
    leaf = Leaf(name, (name,), True, np.float32, (1, 3, 1, 1), (1, 3, 1, 1), (0, 1, 2, 3), (1, 3, 1, 1))
    model = SimpleNamespace(model=torch.nn.Module())
    twin = SimpleNamespace(leaves=[leaf], start=State({name: np.ones((1, 3, 1, 1), "f4")}), torch=model)
    planted = with_planted_zeros(twin).tensors[name].ravel()  # type: ignore[arg-type]
    np.testing.assert_array_equal(planted, [0, 1, 1] if name == "beta" else [1, 1, 1])


def largest(x):
    return jnp.stack([x, 2 * x]).max(0)


@pytest.mark.parametrize(
    ("ours", "wrong"), [(largest, False), (lambda x: jnp.abs(largest(x)), True)], ids=["maximum", "and abs"]
)
def test_equal_numbers_may_share_the_slope_of_their_maximum(ours, wrong):
    theirs = lambda x: torch.stack([x, 2 * x]).max(0)[0]  # noqa: E731
    result = checked(ours, (lambda x: theirs(x).abs()) if wrong else theirs)
    assert result.status == ("fail" if wrong else "pass"), result.blame
    because = {row.because for row in result.rows["float64"] if row.phase == "at zero"}
    assert any("share the slope" in text for text in because) != wrong


def both(x):
    return torch.stack([x, 2 * x, 3 * x])


def two_largest(x):
    return jax.lax.top_k(jnp.stack([x, 2 * x, 3 * x], -1), 2)[0].sum(-1)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda x: jnp.stack([x, 2 * x, 3 * x]).max(0), lambda x: both(x).topk(1, dim=0)[0][0]),
        (lambda x: jnp.stack([x, 2 * x, 3 * x]).max(0), lambda x: both(x).sort(0, descending=True)[0][0]),
        (lambda x: jnp.stack([x, 2 * x, 3 * x]).min(0), lambda x: both(x).min(0).values),
        (lambda x: jnp.sort(jnp.stack([x, 2 * x, 3 * x]), 0)[-1], lambda x: both(x).amax(0)),
        (two_largest, lambda x: both(x).sort(0)[0][1:].sum(0)),
    ],
    ids=["topk", "sort", "min", "amax", "two of three"],
)
def test_equal_numbers_that_are_taken_by_size_are_a_tie(ours, theirs):
    assert checked(ours, theirs)


def test_control_another_number_than_the_largest_is_no_tie():
    result = checked(lambda x: jnp.sort(jnp.stack([x, 2 * x, 3 * x]), 0)[1], lambda x: both(x).topk(1, dim=0)[0][0])
    assert result.status == "fail"
    assert any(not row.passed and row.phase != "at zero" for row in result.rows["float64"])


@pytest.mark.parametrize(
    ("theirs", "right"),
    [
        (lambda x: torch.stack([x, 2 * x]).max(axis=0)[0], True),
        (lambda x: F.max_pool1d(torch.stack([x, 2 * x], -1), 2).squeeze(-1), True),
        (lambda x: F.adaptive_max_pool1d(torch.stack([x, 2 * x], -1), 1).squeeze(-1), True),
        (lambda x: F.max_pool1d(torch.stack([x, 2 * x], -1), 2).squeeze(-1).relu().abs() + 0 * x, False),
    ],
    ids=["axis", "window of all", "adaptive", "control: another function"],
)
def test_equal_numbers_of_windows_share_the_slope_too(theirs, right):
    result = checked(largest if right else lambda x: jnp.maximum(largest(x), 0), theirs)
    assert result.status == ("pass" if right else "fail"), result.blame
