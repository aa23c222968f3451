"""Bounds that no number reaches: larger numbers go beyond them on both sides, and what still reaches none is told."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from jax import lax

import parity
from parity.proof import idle_bounds

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
check = partial(parity.check, steps=1, tiers=("float64",))
LINE = "`self.scale(x).clamp(-self.bound, self.bound)` (test_idle_bounds.py, line "


class Scales(linen.Module):
    low: float | None = None
    high: float | None = None

    @linen.compact
    def __call__(self, x):
        return jnp.clip(linen.Dense(3, name="scale")(x), self.low, self.high)


class TorchScales(torch.nn.Module):
    def __init__(self, bound):
        super().__init__()
        self.bound, self.scale = bound, torch.nn.Linear(4, 3)

    def forward(self, x):
        y = self.scale(x).clamp(-self.bound, self.bound)
        return y + 0 * torch.clamp(input=x.sum(), min=1e-6)


def beyond(result):
    return [row for row in result.rows["float64"] if row.key.phase == "beyond bounds"]


def bounds_told(result):
    return [note for note in result.notes if "bounds" in note]


@pytest.mark.parametrize("bound, idle", [(9.0, True), (0.2, False)])
def test_numbers_beyond_a_bound_are_compared_where_none_is(bound, idle):
    result = check(Scales(-bound, bound), TorchScales(bound), X)
    assert result.status == "pass" and not bounds_told(result), result.blame
    assert {row.name for row in beyond(result)} >= ({"output", "scale.weight", "input"} if idle else set())
    assert bool(beyond(result)) == idle


@pytest.mark.parametrize(
    "low, high, cause",
    [(None, None, "bound-missing"), (-9.0, None, "bound"), (None, 9.0, "bound")],
)
def test_a_bound_that_flax_lacks_or_has_elsewhere_fails_by_its_line(low, high, cause):
    result = check(Scales(low, high), TorchScales(9.0), X)
    assert result.status == "fail" and result.blame.cause == cause, result.blame
    assert LINE in result.blame.text and "min=1e-6" not in result.blame.text
    assert {row.phase for row in result.rows["float64"] if not row.passed} == {"beyond bounds"}


@pytest.mark.parametrize("low, high, number", [(-9.0, 11.0, "11"), (-9.0, 6.5, "6.5"), (-2.5, 9.0, "-2.5")])
def test_the_number_of_another_bound_is_told(low, high, number):
    blame = check(Scales(low, high), TorchScales(9.0), X).blame
    assert blame and f"Flax bounds at {number} where PyTorch has {-9 if high == 9.0 else 9} ({LINE}" in blame.text


def test_a_bound_that_larger_numbers_do_not_reach_is_told():
    result = check(Scales(-1e9, 1e9), TorchScales(1e9), X)
    assert result.status == "pass" and not beyond(result)
    assert LINE in bounds_told(result)[0] and "min=1e-6" not in bounds_told(result)[0]


class Rows(linen.Module):
    bound: float

    @linen.compact
    def __call__(self, ids):
        table = self.param("table", linen.initializers.normal(), (5, 3))
        norms = jnp.linalg.norm(table, axis=-1, keepdims=True)
        factor = jnp.where(norms > self.bound, self.bound / (norms + 1e-7), 1.0)
        return (table + lax.stop_gradient(table * factor - table))[ids]


@pytest.mark.parametrize("bound, cause", [(4.0, None), (5.0, "bound"), (1e9, "bound-missing")])
def test_rows_of_a_table_whose_norm_is_bounded(bound, cause):
    result = check(Rows(bound), torch.nn.Sequential(torch.nn.Embedding(5, 3, max_norm=4.0)), np.arange(5)[None])
    assert bool(result) == (cause is None) and not bounds_told(result), result.blame
    assert cause is None or (result.blame.cause == cause and "max_norm=4 of a table of 5 rows" in result.blame.text)


class Held(nnx.Module):
    def __init__(self, kernel, bias):
        self.scale = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
        self.scale.kernel, self.scale.bias = nnx.Param(jnp.array(kernel)), nnx.Param(jnp.array(bias))

    def __call__(self, x):
        return jnp.clip(self.scale(x), -9.0, 9.0)


def test_weights_as_they_are_stay_so():
    theirs = TorchScales(9.0)
    ours = Held(theirs.scale.weight.detach().numpy().T.copy(), theirs.scale.bias.detach().numpy().copy())
    result = check(ours, theirs, X, weights="as they are")
    assert result.status == "pass" and not beyond(result) and bounds_told(result), result.blame


class Sums(linen.Module):
    """Its mask is -1e4, PyTorch's -inf, which parts where scores are as large: no bound's doing."""

    @linen.compact
    def __call__(self, x):
        y = jnp.clip(linen.Dense(3, name="scale")(x), -600.0, 600.0)
        return jnp.where(jnp.arange(3)[None] < 2, y, -9.0).max(-1, keepdims=True)


class TorchSums(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Linear(4, 3)

    def forward(self, x):
        y = self.scale(x).clamp(-600.0, 600.0)
        return y.masked_fill(torch.arange(3)[None] >= 2, float("-inf")).amax(-1, keepdim=True)


def test_what_parts_before_a_bound_acts_is_not_blamed_on_it():
    result = check(Sums(), TorchSums(), X)
    assert result.status == "pass" and not beyond(result), result.blame
    assert bounds_told(result)


def test_a_call_that_is_not_understood_keeps_the_verdict(monkeypatch):
    monkeypatch.setattr(idle_bounds, "_sides", lambda *_, **__: [torch.zeros(2)[3]])
    result = check(Scales(-50.0, 50.0), TorchScales(50.0), X)
    assert result.status == "pass" and not bounds_told(result)


class Identity(linen.Module):
    @linen.compact
    def __call__(self, x):
        return jnp.clip(x, -50.0, 50.0)


def test_bounds_of_a_layer_of_pytorchs_have_no_line_to_be_told():
    result = check(Identity(), torch.nn.Hardtanh(-50.0, 50.0), X)
    assert result.status == "pass" and not bounds_told(result)


class Compiled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Linear(4, 3)
        self.block = torch.compile(torch.nn.Hardtanh(-9.0, 9.0), backend="eager")

    def forward(self, x):
        return self.block(self.scale(x))


@pytest.mark.filterwarnings("ignore:Using `torch.compile:UserWarning")
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0:RuntimeWarning")
def test_programs_of_pytorchs_are_not_looked_into():
    assert check(Scales(-9.0, 9.0), Compiled(), X).status == "pass"


class Capped(nnx.Module):
    def __init__(self, cap):
        self.cap, self.scale = cap, nnx.Linear(4, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.scale(jnp.minimum(x, self.cap))


class TorchCapped(torch.nn.Module):
    def __init__(self, cap):
        super().__init__()
        self.cap, self.scale = cap, torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.scale(x.clamp(max=self.cap))


@pytest.mark.parametrize("cap, status", [(20.0, "pass"), (15.0, "fail")])
def test_counts_go_beyond_a_bound_of_theirs(cap, status):
    counts = np.arange(24, dtype=np.float32).reshape(6, 4) % 10
    result = check(Capped(cap), TorchCapped(20.0), counts)
    assert result.status == status, result.blame
    assert {row.name for row in beyond(result)} >= {"output", "scale.weight"}
