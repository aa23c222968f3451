"""Layers that Flax keeps stacked in one array, and rematerialised ones, against PyTorch's modules one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

import parity
from d2l_jax.errors import InputError
from parity.models.linen_model import LinenModel
from parity.models.nnx_model import NNXModel
from parity.models.unstacked import Unstacked, unstacked
from parity.report.coverage import coverage

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(6)
        self.up = torch.nn.Linear(6, 9)
        self.drop = torch.nn.Dropout(0.2)
        self.down = torch.nn.Linear(9, 6)

    def forward(self, x):
        return x + self.down(self.drop(torch.nn.functional.gelu(self.up(self.norm(x)))))


class TorchStack(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList(TorchBlock() for _ in range(3))
        self.head = torch.nn.Linear(6, 4)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class LinenBlock(linen.Module):
    approximate: bool = False
    train: bool = True
    rate: float = 0.2

    @linen.compact
    def __call__(self, x, _=None):
        h = linen.Dense(9, name="up")(linen.LayerNorm(epsilon=1e-5, name="norm")(x))
        h = linen.Dropout(self.rate, deterministic=not self.train)(linen.gelu(h, approximate=self.approximate))
        return x + linen.Dense(6, name="down")(h), None


class LinenStack(linen.Module):
    approximate: bool = False
    remat: bool = False
    axis: int = 0
    rate: float = 0.2

    @linen.compact
    def __call__(self, x, train: bool = True):
        axes = {"variable_axes": {"params": self.axis}, "split_rngs": {"params": True, "dropout": True}, "length": 3}
        block = linen.remat(LinenBlock) if self.remat else LinenBlock
        x, _ = linen.scan(block, **axes)(self.approximate, train, self.rate, name="layers")(x, None)
        return linen.Dense(4)(x)


class NNXBlock(nnx.Module):
    def __init__(self, rngs, approximate):
        self.norm = nnx.LayerNorm(6, epsilon=1e-5, rngs=rngs)
        self.up = nnx.Linear(6, 9, rngs=rngs)
        self.drop = nnx.Dropout(0.2, rngs=rngs)
        self.down = nnx.Linear(9, 6, rngs=rngs)
        self.approximate = approximate

    def __call__(self, x):
        return x + self.down(self.drop(nnx.gelu(self.up(self.norm(x)), approximate=self.approximate)))


class NNXStack(nnx.Module):
    def __init__(self, approximate=False):
        rngs = nnx.Rngs(0)
        make = nnx.vmap(lambda rngs: NNXBlock(rngs, approximate), in_axes=(0,), out_axes=0)
        self.layers = nnx.split_rngs(splits=3)(make)(rngs)
        self.out = nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x):
        forward = nnx.scan(lambda x, block: block(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        return self.out(forward(x, self.layers))


class NNXRemat(nnx.Module):
    def __init__(self, approximate=False):
        rngs = nnx.Rngs(0)
        self.layers = nnx.List([NNXBlock(rngs, approximate) for _ in range(3)])
        self.out = nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x):
        for layer in self.layers:
            x = nnx.remat(lambda layer, x: layer(x))(layer, x)
        return self.out(x)


def check(model, theirs=None):
    return parity.check(model, theirs or TorchStack(), X, steps=1, tiers=("float64",))


MODELS = [lambda **more: LinenStack(axis=1, **more), lambda **more: LinenStack(remat=True, **more), NNXStack, NNXRemat]


@pytest.mark.parametrize("axis", [1, -1])
def test_layers_that_are_stacked_along_another_axis_are_taken_apart_along_it(axis):
    stack = LinenStack(axis=axis, rate=0.0)
    model = LinenModel(stack, stack.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, X))
    parts = unstacked(model, (X,), [])
    assert parts.params["layers.2"]["up"]["kernel"].shape == (6, 9)
    kernel = model.params["layers"]["up"]["kernel"]
    np.testing.assert_array_equal(parts.params["layers.2"]["up"]["kernel"], np.take(np.asarray(kernel), 2, axis))
    for ours, joined in zip(jax.tree.leaves(model.params), jax.tree.leaves(parts.joined(parts.params)), strict=True):
        np.testing.assert_array_equal(ours, joined)
    outputs = [each.apply(each.params, each.buffers, (jnp.asarray(X),), train=False)[0] for each in (model, parts)]
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS)
def test_layers_of_a_stack_are_found_and_compared_one_by_one(make):
    result = check(make())
    result.raise_if_failed()
    assert coverage(result).alone == coverage(result).holding == 10


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS[1:])
def test_a_mistake_in_the_layers_of_a_stack_is_put_there_with_its_cause(make):
    result = check(make(approximate=True))
    assert result.status == "fail"
    assert result.blame is not None
    assert (result.blame.layer, result.blame.cause) == ("blocks.0", "gelu-tanh")
    assert [blame.layer for blame in result.blame.others] == ["blocks.1", "blocks.2"]


class TorchEnsemble(TorchStack):
    def forward(self, x):
        return self.head(sum(block(x) for block in self.blocks) / 3)


class LinenEnsemble(linen.Module):
    approximate: bool = False

    @linen.compact
    def __call__(self, x, train: bool = True):
        rngs = {"params": True, "dropout": True}
        options = {"variable_axes": {"params": 0}, "split_rngs": rngs, "in_axes": None, "axis_size": 3}
        blocks = linen.vmap(LinenBlock, **options)(self.approximate, train, name="members")
        return linen.Dense(4)(blocks(x)[0].mean(0))


class NNXEnsemble(NNXStack):
    def __call__(self, x):
        return self.out(nnx.vmap(lambda layer, x: layer(x), in_axes=(0, None))(self.layers, x).mean(0))


@pytest.mark.slow
def test_members_of_an_ensemble_are_found_and_compared_one_by_one():
    result = check(LinenEnsemble(), TorchEnsemble())
    result.raise_if_failed()
    assert coverage(result).alone == coverage(result).holding == 10


@pytest.mark.slow
def test_a_mistake_in_the_members_of_an_ensemble_is_put_there_with_its_cause():
    blame = check(NNXEnsemble(approximate=True), TorchEnsemble()).blame
    assert (blame.layer, blame.cause) == ("blocks.0", "gelu-tanh")


together = nnx.vmap(lambda layer, x: layer(x), in_axes=(0, None))  # made before the check can look within


class Together(NNXStack):
    def __call__(self, x):
        return self.out(together(self.layers, x).mean(0))


def test_a_map_that_stays_one_and_is_wrong_fails_with_its_layers_in_their_order():
    result = check(Together())
    assert result.status == "fail" and "under the likeliest weight map" in result.blame.text
    names = ", ".join(f"blocks.{n}.up.weight" for n in range(3))
    assert any(note.startswith(f"layers.up.kernel: compared as {names}, one behind") for note in result.notes)


def test_control_a_map_that_stays_one_with_more_numbers_than_slopes_are_asked_about_is_refused(monkeypatch):
    monkeypatch.setattr("parity.match.weaver.MOST", 50)
    with pytest.raises(InputError, match="Flax keeps 3 layers in one array"):
        check(Together())


class Matrices(nnx.Module):
    """Goes through matrices that PyTorch, too, keeps in one array."""

    def __init__(self):
        self.weight = nnx.Param(jax.random.normal(jax.random.key(0), (3, 6, 6), np.float32))

    def __call__(self, x):
        return jax.lax.scan(lambda x, w: (jax.nn.tanh(x @ w), None), x, self.weight[...])[0]


class TorchMatrices(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3, 6, 6))

    def forward(self, x):
        for matrix in self.weight:
            x = torch.tanh(x @ matrix)
        return x


def test_an_array_that_both_keep_whole_stays_whole():
    result = check(Matrices(), TorchMatrices())
    result.raise_if_failed()
    assert [leaf.path for leaf in result.weights] == [("weight",)]


class Experts(nnx.Module):
    """A gate beside stacked experts, which are mapped over: its kernel is no stack, whatever its sizes."""

    def __init__(self):
        make = nnx.vmap(lambda rngs: nnx.Linear(6, 6, rngs=rngs), in_axes=(0,), out_axes=0)
        self.gate, self.experts = nnx.Linear(6, 3, rngs=nnx.Rngs(0)), make(nnx.Rngs(0).split(3))

    def __call__(self, x):
        each = nnx.vmap(lambda expert, x: expert(x), in_axes=(0, None))(self.experts, x)
        return jnp.einsum("be,ebd->bd", jax.nn.softmax(self.gate(x)), each)


class Within(nnx.Module):
    def __init__(self):
        self.mixture = Experts()

    def __call__(self, x):
        return self.mixture(x)


def test_a_layer_beside_a_stack_is_none_of_it():
    model = unstacked(NNXModel(Within()), (X,), [])
    assert isinstance(model, Unstacked) and model.sizes == {("mixture", "experts"): 3}
