"""Digits that float32 loses: the lines of Flax's that lose them, and how; nothing where that is not all of it."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.arrays.key import Key
from parity.blame.diagnosis import Cause
from parity.blame.digits.explain import Trials, _overflows, _searched, like_rounding
from parity.blame.digits.shadow import Exact
from parity.compare.rows import row
from parity.sides.flax import precision

OUTPUT = Key(1, "evaluation", "output")
CPU = jax.devices("cpu")[0]
X = np.random.default_rng(0).normal(size=(4, 50))


def explained(function, x, oracle=None, limit=1e-6):
    """Returns the cause of what the function loses in float32; `oracle`: what PyTorch has, another function."""

    def run(dtype):
        def by(steps):
            with precision(CPU, dtype=dtype):
                return {OUTPUT: np.asarray(steps(function)(jnp.asarray(x.astype(dtype))))}

        return by

    signatures, exact = Exact(keeps=False), Exact()
    run("float32")(signatures)
    right = {OUTPUT: oracle(x)} if oracle else run("float64")(exact)
    if oracle:
        run("float64")(exact)
    return _searched(Trials(run("float32"), exact.beside(signatures.signatures), right, {OUTPUT: limit}, 1e-6))


def variance(x):
    return jnp.mean(x**2, -1) - jnp.mean(x, -1) ** 2


def centred_and_fast(x):
    centred = x - jnp.mean(x, -1, keepdims=True)
    return centred.sum() * 0 + variance(x)


def squared_distances(x):
    n = jnp.sum(x * x, -1)
    return n[:, None] + n[None] - 2 * x @ x.T


def naive_softmax(x):
    e = jnp.exp(x)
    return e / e.sum(-1, keepdims=True)


def several(x):
    return jnp.log(1 + x) * 1e6 + (1 - jnp.cos(x)) * 1e12


KINDS = {
    "fast-variance": (variance, X + 300, "jnp.mean(x**2, -1) - jnp.mean(x, -1) ** 2"),
    "cancellation": (squared_distances, X + 100, "2 * x @ x.T"),
    "overflow": (naive_softmax, 100 * X, "gives"),
    "underflow": (lambda x: jnp.log(jnp.exp(x) + 0), -130 - np.abs(X), "jnp.log("),
    "log1p": (lambda x: jnp.log(1 + x), 1e-4 * np.abs(X), "jnp.log1p is right"),
    "expm1": (lambda x: 1 - jnp.exp(x), 1e-4 * X, "jnp.expm1 is right"),
    "large-argument": (lambda x: jnp.sin(x * 0.3), 1e5 * X, "jnp.sin("),
    "log1p+cancellation": (several, 1e-5 * np.abs(X), "jnp.cos(x)"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_line_that_loses_digits_is_quoted_and_named(name):
    function, x, words = KINDS[name]
    cause = explained(function, x)
    assert cause and cause.name == name and words in cause.text, cause
    assert "test_digits.py, line" in cause.text


def test_what_both_lose_is_not_told_beside_it():
    cause = explained(centred_and_fast, X + 300)
    assert cause and cause.name == "fast-variance" and "keepdims" not in cause.text


@pytest.mark.parametrize(
    "function,x", [(jax.nn.softmax, 100 * X), (jnp.log1p, 1e-4 * np.abs(X)), (lambda x: jnp.var(x, -1), X + 300)]
)
def test_control_precise_functions_lose_nothing(function, x):
    assert explained(function, x, limit=1e-4) is None


def test_control_a_mistake_beside_lost_digits_is_not_explained_by_them():
    assert explained(variance, X + 300, oracle=lambda x: 1.01 * np.var(x, -1)) is None
    assert explained(variance, X + 300, oracle=lambda x: np.var(x, -1)) is not None


@pytest.mark.parametrize(
    "exact,low,like", [(1e-10, 5e-2, True), (1e-8, 0.9, True), (1e-6, 5e-2, False), (1e-12, 1.0, False)]
)
def test_float64_is_wrong_like_rounding_only_where_it_loses_as_many_digits(exact, low, like):
    assert like_rounding([row(OUTPUT, exact, 1e-14, "")], [row(OUTPUT, low, 1e-6, "")]) is like


def test_float64_that_is_not_finite_either_goes_with_what_overflows_alone():
    infinite, finite = row(OUTPUT, math.inf, 0.0, "", "fail"), row(OUTPUT, 1e-3, 1e-14, "")
    for name, beyond in (("overflow", True), ("underflow", True), ("cancellation", False)):
        assert _overflows([infinite], Cause(name, "", 0.0)) is beyond
        assert not _overflows([infinite, finite], Cause(name, "", 0.0))


class Ours(nnx.Module):
    def __init__(self, first, then=None):
        self.first, self.then = first, then
        self.last = nnx.Linear(6, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.last(self.then(self.first(x)) if self.then else self.first(x))


class Softplus(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(6, 6), torch.nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(x)
        return self.last(torch.logaddexp(x, torch.zeros_like(x)))


@pytest.mark.parametrize("naive", [True, False])
def test_a_pair_that_differs_in_float32_alone_has_its_line_and_its_twin_passes(naive):
    softplus = (lambda x: jnp.log(1 + jnp.exp(x))) if naive else lambda x: jnp.logaddexp(x, 0.0)
    ours = Ours(nnx.Linear(6, 6, rngs=nnx.Rngs(0)), softplus)
    result = parity.check(ours, Softplus(), (100 * X[:, :6]).astype(np.float32), steps=1, layers=False)
    assert result.status == ("fail" if naive else "pass")
    if naive:
        assert all(row.passed for row in result.rows["float64"])
        assert result.blame and result.blame.cause == "overflow", result.blame
        assert "`jnp.log(1 + jnp.exp(x))` (test_digits.py, line" in result.blame.text
        assert "`jnp.exp(x)` (test_digits.py, line" in result.blame.text


@pytest.mark.parametrize("fast", [pytest.param(True, marks=pytest.mark.slow), False])
def test_flax_fast_variance_is_named_far_from_zero_and_the_slow_one_passes(fast):
    theirs = torch.nn.Sequential(torch.nn.LayerNorm(6), torch.nn.Linear(6, 3))
    norm = nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=fast, rngs=nnx.Rngs(0))
    result = parity.check(Ours(norm), theirs, (X[:, :6] + 300).astype(np.float32), steps=1)
    assert result.status == ("fail" if fast else "pass")
    if fast:
        assert result.blame and (result.blame.layer, result.blame.cause) == ("0", "fast-variance")
        assert "`self.first(x)` (test_digits.py, line" in result.blame.text
        assert "use_fast_variance=False is right" in result.blame.text
