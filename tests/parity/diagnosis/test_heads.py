"""Slopes of heads, a shift that wraps around, a mask behind the softmax, transitions to and from, one term of two."""

import numpy as np
import pytest
import torch
from flax import linen
from jax import numpy as jnp

import parity

POINTS = np.random.default_rng(0).normal(size=(3, 7, 6)).astype(np.float32)
HEADS = 4


class Sloped(linen.Module):
    first: int = 1
    falls: bool = True

    @linen.compact
    def __call__(self, x):
        scores = linen.Dense(HEADS, name="first")(x)
        slopes = (2.0 ** (-8 * (np.arange(HEADS) + self.first) / HEADS))[:: 1 if self.falls else -1]
        place = np.arange(x.shape[1])[:, None] * slopes
        return linen.Dense(2, name="out")(linen.softmax(scores + jnp.asarray(place, x.dtype)[None], 1))


class TorchSloped(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.out = torch.nn.Linear(6, HEADS), torch.nn.Linear(HEADS, 2)
        self.slopes = torch.tensor(2.0 ** (-8 * (np.arange(HEADS) + 1) / HEADS), dtype=torch.float32)

    def forward(self, x):
        place = torch.arange(x.shape[1])[:, None] * self.slopes[None]
        return self.out(torch.softmax(self.first(x) + place, 1))


class Shifted(linen.Module):
    wraps: bool = False

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(6, name="first")(x)
        before = jnp.roll(x, 1, 1) if self.wraps else jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        return linen.Dense(2, name="out")(x * before)


class TorchShifted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.out = torch.nn.Linear(6, 6), torch.nn.Linear(6, 2)
        self.shift = torch.nn.ZeroPad2d((0, 0, 1, -1))

    def forward(self, x):
        x = self.first(x)
        return self.out(x * self.shift(x))


class Pointing(linen.Module):
    late: bool = False

    @linen.compact
    def __call__(self, x):
        scores = linen.Dense(6, name="first")(x)
        hidden = (x > 0.5)[..., :6]
        if self.late:
            return jnp.where(hidden, 0.0, linen.softmax(scores))
        return linen.softmax(jnp.where(hidden, -1e30, scores))


class TorchPointing(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 6)

    def forward(self, x):
        return self.first(x).masked_fill(x > 0.5, float("-inf")).softmax(-1)


class Moving(linen.Module):
    """The score of a path by transitions; `other`: to and from exchanged, or of the second term alone."""

    other: str = ""

    @linen.compact
    def __call__(self, x):
        moves = self.param("moves", linen.initializers.normal(), (6, 6))
        path = jnp.argmax(x, -1)
        there = (moves.T if self.other == "transposed" else moves)[path[:, :-1], path[:, 1:]].sum(1)
        given = linen.Dense(6, name="first")(x).sum((1, 2)) + moves[path[:, 0]].sum(1)
        return given if self.other == "one" else (there + given) / 2


class TorchMoving(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.moves = torch.nn.Linear(6, 6), torch.nn.Parameter(torch.randn(6, 6))

    def forward(self, x):
        path = x.argmax(-1)
        there = self.moves[path[:, :-1], path[:, 1:]].sum(1)
        given = self.first(x).sum((1, 2)) + self.moves[path[:, 0]].sum(1)
        return (there + given) / 2


def found(ours, theirs):
    return parity.check(ours, theirs, POINTS, steps=1, tiers=("float64",))


@pytest.mark.slow
@pytest.mark.parametrize(
    "ours, theirs, cause, text",
    [
        (Sloped(0), TorchSloped, "slopes", "begin with 1, PyTorch's with 0.25"),
        (Sloped(falls=False), TorchSloped, "slopes", "rise from head to head"),
        (Shifted(True), TorchShifted, "shift-wraps", "Flax shifts axis 1 by a roll"),
        (Pointing(True), TorchPointing, "mask-behind-softmax", "does not add to 1"),
        (Moving("transposed"), TorchMoving, "index-transposed", "[j, i] of a square table"),
        (Moving("one"), TorchMoving, "one-of-two", "takes the second of two numbers"),
    ],
    ids=["slopes", "order", "shift", "mask", "transposed", "one"],
)
def test_the_cause_is_named(ours, theirs, cause, text):
    blame = found(ours, theirs()).blame
    assert blame and blame.cause == cause and text in blame.text, blame


@pytest.mark.parametrize(
    "ours, theirs",
    [(Sloped(), TorchSloped), (Shifted(), TorchShifted), (Pointing(), TorchPointing), (Moving(), TorchMoving)],
)
def test_control_right_pairs_pass(ours, theirs):
    assert found(ours, theirs()).status == "pass"


@pytest.mark.slow
def test_control_of_other_slopes_none_are_named():
    result = found(Sloped(3), TorchSloped())
    assert result.status == "fail" and result.blame and result.blame.cause != "slopes", result.blame
