"""Where no whole map is found, the refusal says what is known, in the form in which a map is given."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
LAST = Leaf("last.weight", ("flat",), True, jnp.float32, (24,), (6, 4), (1, 0), (4, 6), flip=(0,))


class Ours(nnx.Module):
    """Two of PyTorch's layers are one, and one is a vector that begins with the last inputs."""

    def __init__(self):
        self.first, self.both = nnx.Linear(3, 4, rngs=nnx.Rngs(0)), nnx.Linear(4, 10, rngs=nnx.Rngs(1))
        self.flat = nnx.Param(jnp.ones(24))

    def __call__(self, x):
        a, b = jnp.split(self.both(jnp.tanh(self.first(x))), [6], -1)
        return a @ self.flat[...].reshape(6, 4)[::-1] * b


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.a, self.b = torch.nn.Linear(3, 4), torch.nn.Linear(4, 6), torch.nn.Linear(4, 4)
        self.last = torch.nn.Linear(6, 4, bias=False)

    def forward(self, x):
        x = torch.tanh(self.first(x))
        return self.last(self.a(x)) * self.b(x)


def checked(**options):
    return parity.check(Ours(), Theirs(), X, steps=1, tiers=("float64",), **options)


@pytest.fixture(scope="module")
def refusal():
    with pytest.raises(InputError) as caught:
        checked()
    return caught.value


def test_a_refusal_says_what_has_a_counterpart_and_what_is_nearest(refusal):
    text = str(refusal)
    assert "only in PyTorch: last.weight (4, 6)" in text and "only in Flax: flat (24,)" in text
    assert "2 of PyTorch's 7 tensors have a counterpart, 2 of them by what their layers are given" in text
    assert "a.weight <- both.kernel[axis 1, 0 to 6]/a.weight (4, 6): axes in the order (1, 0)" in text
    assert {leaf.key for leaf in refusal.leaves} == {"first.weight", "first.bias"}
    assert {leaf.key for leaf in refusal.nearest} == {"a.weight", "a.bias", "b.weight", "b.bias"}


def test_a_user_completes_it(refusal):
    checked(weights=[*refusal.leaves, *refusal.nearest, LAST]).raise_if_failed()


@pytest.mark.parametrize(
    "leaf, problem",
    [
        (None, "it leaves out flat, last.weight, which a step changes"),
        (dataclasses.replace(LAST, key="lost.weight"), "it names lost.weight, which neither holds; it leaves out last"),
        (dataclasses.replace(LAST, path=("round",)), "it names round, which neither holds; it leaves out flat"),
    ],
)
def test_control_a_map_that_leaves_something_out_is_refused(refusal, leaf, problem):
    with pytest.raises(InputError, match=f"weights is no map of these two models: {problem}"):
        checked(weights=[*refusal.leaves, *refusal.nearest, *([leaf] if leaf else [])])


def test_a_map_without_running_statistics_is_refused():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    ours = nnx.BatchNorm(3, momentum=0.9, epsilon=1e-5, rngs=nnx.Rngs(0))
    options = {"steps": 1, "tiers": ("float64",), "layers": False}
    found = parity.check(ours, torch.nn.BatchNorm1d(3), x, **options).weights
    trained = [leaf for leaf in found if leaf.trained]
    with pytest.raises(InputError, match="leaves out running_mean, running_var, which a step changes"):
        parity.check(ours, torch.nn.BatchNorm1d(3), x, weights=trained, **options)
