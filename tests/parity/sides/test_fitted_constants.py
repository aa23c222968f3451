"""Constants that a model holds in float32: what they excuse is gone where they are moved within their digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.arrays.key import Key
from parity.compare.constants import HELD
from parity.compare.fitted import MOST_NUMBERS, Fit, Held, fitted, is_of_another

X = np.random.default_rng(0).normal(size=(3, 20, 6)).astype(np.float32)
OUTPUT = Key(1, "forward", "output")


class Ours(nnx.Module):
    def __init__(self, eps: float):
        self.eps = eps
        self.first = nnx.Linear(6, 8, rngs=nnx.Rngs(0))

    def __call__(self, x):
        wave = jnp.sin(jnp.arange(20.0) * 10000.0**-0.3 * 10)[:, None]
        return jnp.log(jax.nn.sigmoid(self.first(x) + wave) + self.eps)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 8)
        self.rate = torch.pow(torch.tensor(10000.0), -torch.tensor(0.3)).item()

    def forward(self, x):
        wave = torch.sin(torch.arange(20.0, dtype=x.dtype) * self.rate * 10)[:, None]
        return torch.log(torch.sigmoid(self.first(x) + wave) + 1e-8)


@pytest.mark.parametrize("eps", [1e-7, pytest.param(1e-8, marks=pytest.mark.slow)])
def test_a_digit_of_a_constant_hides_no_eps(eps):
    result = parity.check(Ours(eps), Theirs(), X, steps=1, tiers=("float64",))
    assert bool(result) == (eps == 1e-8)
    assert any(HELD in row.because for row in result.rows["float64"]) == bool(result)


def runs(numbers, mistake=0.0):
    """Two sides of a product, of which the first holds its factors in float32, and the other something else."""
    x = np.random.default_rng(1).normal(size=(11, len(numbers)))
    ours = np.tanh(x * numbers) + mistake * x**2
    theirs = lambda shift: {OUTPUT: np.tanh(x * shift(numbers.astype(np.float32)))}  # noqa: E731
    return theirs(lambda array: array.astype(np.float64)), {OUTPUT: ours}, Held(theirs, lambda shift: {})


def gaps(oracle, flax, held):
    both = fitted(oracle, flax, held, Fit())
    assert both is not None
    return [np.max(np.abs(a[OUTPUT] - b[OUTPUT])) for a, b in both]


def test_numbers_that_were_rounded_are_found():
    oracle, flax, held = runs(np.exp(-np.arange(7.0)))
    assert np.max(np.abs(oracle[OUTPUT] - flax[OUTPUT])) > 1e-9
    assert min(gaps(oracle, flax, held)) < 1e-14


def test_several_numbers_of_one_side_alone_are_not_fitted():
    oracle, flax, held = runs(np.exp(-np.arange(7.0)))
    assert fitted(oracle, flax, Held(held.theirs), Fit()) is None


def test_control_no_digits_explain_a_mistake():
    assert min(gaps(*runs(np.exp(-np.arange(7.0)), mistake=1e-8))) > 1e-9


def test_control_no_number_is_moved_far():
    oracle, flax, held = runs(np.ones(3))
    flax = {OUTPUT: np.tanh(np.arctanh(flax[OUTPUT]) * (1 + 1e-5))}
    assert min(gaps(oracle, flax, held)) > 1e-6


def test_a_large_table_is_not_fitted():
    oracle, flax, held = runs(np.exp(-np.arange(MOST_NUMBERS + 1.0) / 20))
    assert fitted(oracle, flax, held, Fit()) is None


def test_complex_and_equal_numbers_are_moved():
    moved = Fit({0.5: 1.0}).shift(np.array([0.5 + 2j, 3 + 0.5j], np.complex64))
    digit = np.spacing(np.float32(0.5))
    np.testing.assert_array_equal(moved, [0.5 + digit + 2j, 3 + 1j * (0.5 + digit)])


@pytest.mark.parametrize("rounds", [False, True], ids=["exact", "a table in float32"])
@pytest.mark.parametrize("eps", [1e-6, 1e-5, 2e-5])
def test_another_epsilon_is_no_digit_of_what_one_side_holds(eps, rounds):
    x, numbers = np.random.default_rng(1).normal(size=(11, 7)), np.exp(-np.arange(7.0))

    def normed(table, eps):
        y = x * table
        return {OUTPUT: y / np.sqrt((y**2).mean(-1, keepdims=True) + eps)}

    theirs = lambda shift: normed(np.cos(9 * shift(numbers.astype(np.float32))), 1e-5)  # noqa: E731
    table = np.cos(9 * numbers)
    flax = normed(table.astype(np.float32).astype(np.float64) if rounds else table, eps)
    held = numbers.astype(np.float32).astype(np.float64)
    others = [normed(np.cos(9 * held), other) for other in (0.0, 1e-8, 1e-6, 1e-4)]
    oracle = theirs(lambda array: array.astype(np.float64))
    assert is_of_another(oracle, flax, Held(theirs), others) == (eps == 1e-6)
