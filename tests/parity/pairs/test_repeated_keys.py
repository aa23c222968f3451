"""Dropout of several layers by one key: the same numbers are dropped in each, where PyTorch draws anew."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

import parity
from parity.models.keys_of_draws import draws_of, origin, repeated
from parity.models.random_numbers import requested

X = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)


class Block(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        return x + linen.Dropout(0.3, deterministic=not train)(jnp.tanh(linen.Dense(6)(x))), None


class Scanned(linen.Module):
    split: bool

    @linen.compact
    def __call__(self, x, train=False):
        axes = {"variable_axes": {"params": 0}, "in_axes": linen.broadcast, "length": 3}
        blocks = linen.scan(Block, split_rngs={"params": True, "dropout": self.split}, **axes)
        return blocks(name="blocks")(x, train)[0]


class TorchBlocks(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList(torch.nn.Linear(6, 6) for _ in range(3))
        self.drops = torch.nn.ModuleList(torch.nn.Dropout(0.3) for _ in range(3))

    def forward(self, x):
        for block, drop in zip(self.blocks, self.drops, strict=True):
            x = x + drop(torch.tanh(block(x)))
        return x


@pytest.mark.parametrize("split", [pytest.param(True, marks=pytest.mark.slow), False])
def test_layers_of_a_scan_whose_keys_are_not_split(split):
    result = parity.check(Scanned(split), TorchBlocks(), X, steps=1, tiers=("float64",))
    assert bool(result) == split, result.blame
    if result.blame:
        assert (result.blame.layer, result.blame.cause) == ("blocks.1.Dropout_0", "repeated-key")
        assert "and 1 more" in result.blame.text


class Dropping(nnx.Module):
    def __init__(self, *seeds):
        self.layers = nnx.List([nnx.Linear(6, 6, rngs=nnx.Rngs(0)) for _ in range(2)])
        self.drops = nnx.List([nnx.Dropout(0.3, rngs=nnx.Rngs(seed)) for seed in seeds])

    def __call__(self, x):
        for layer, drop in zip(self.layers, self.drops, strict=True):
            x = drop(layer(x))
        return x


def test_a_function_that_makes_layers_with_random_numbers_of_their_own():
    linear, drop = partial(torch.nn.Linear, 6, 6), partial(torch.nn.Dropout, 0.3)
    theirs = torch.nn.Sequential(linear(), drop(), linear(), drop())
    options = {"steps": 1, "tiers": ("float64",)}
    assert parity.check(lambda: Dropping(0, 1), theirs, X, **options)
    blame = parity.check(lambda: Dropping(0, 0), theirs, X, **options).blame
    assert blame and (blame.layer, blame.cause) == ("drops.1", "repeated-key")


def dropping(own: bool):
    """Returns two layers of dropout, each with its own random numbers or both with shared ones."""
    shared = nnx.Rngs(0)
    layers = [nnx.Dropout(0.3, rngs=nnx.Rngs(0) if own else shared) for _ in range(2)]
    graph, state = nnx.split(nnx.Sequential(*layers))
    return lambda state, x: nnx.merge(graph, state)(x), state


@pytest.mark.parametrize("own, again", [(True, {1: 0}), (False, {})])
def test_layers_with_random_numbers_of_their_own_from_one_seed(own, again):
    function, state = dropping(own)
    assert repeated(requested(function, state, X), draws_of(function, state, X)) == again


def twice(key, x):
    return jax.random.normal(key, x.shape) + jax.random.uniform(key, x.shape)


def folded(key, x):
    return sum(jax.random.normal(jax.random.fold_in(key, n), x.shape) for n in range(2))


def jitted(key, x):
    return jax.jit(lambda *args: twice(*args))(jax.random.split(key)[1], x)  # a new function, traced anew


def beside_another(key, x):
    return jax.random.categorical(key, x) + twice(jax.random.split(key)[1], x[:, 0])


@pytest.mark.parametrize("draws, again", [(twice, {1: 0}), (folded, {}), (jitted, {1: 0}), (beside_another, {1: 0})])
@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey])
def test_which_draws_are_by_one_key(draws, again, make):
    assert repeated(requested(draws, make(0), X), draws_of(draws, make(0), X)) == again


def test_control_a_recomputed_draw_tells_nothing():
    drawn = jax.checkpoint(lambda key, x: jnp.sin(x * jax.random.normal(key, x.shape)) ** 2)
    function = jax.grad(lambda x, key: jnp.sum(drawn(key, x) * jax.random.normal(jax.random.key(1), x.shape)))
    assert repeated(requested(function, X, jax.random.key(0)), draws_of(function, X, jax.random.key(0))) == {}


def test_no_two_numbers_that_make_no_key_are_one():
    keys = [hash(("a program", origin(jnp.float32(1)))) for _ in range(200)]
    assert len({*keys}) == 200
