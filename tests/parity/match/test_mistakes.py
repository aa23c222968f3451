"""Weight maps of models with a mistake: the map is there all the same, and tensors that fit nothing are listed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from matching import (
    X2,
    Chain,
    R,
    S,
    T,
    first,
    keys_by_path,
    linen_model,
    refusal,
    verified,
)
from matching_nets import EVEN, Net, net_torch

import parity
from d2l_jax.errors import InputError
from parity.match import match
from parity.models.nnx_model import NNXModel

NAMES = {"c": "0", "n": "1", "d": "3", "e": "5", "f": "7", "g": "9", "h": "10"}


@pytest.mark.parametrize("bug", ["", "padding", "epsilon", "activation", "no activation", "flip"])
def test_a_mistake_does_not_hide_the_map(bug):
    leaves = match(NNXModel(Net(bug, R)), net_torch(), (EVEN,), (first(EVEN),))
    assert {leaf.path[0]: leaf.key.split(".")[0] for leaf in leaves} == NAMES
    assert len(leaves) == 16


def test_control_the_net_without_a_mistake_is_the_same():
    verified(NNXModel(Net("", R)), net_torch(), EVEN, first(EVEN))


def test_control_a_missing_layer_is_listed():
    message = refusal(Net("missing", R), net_torch(), EVEN, first(EVEN))
    assert message.count("only in PyTorch") == 2 and "weight (8, 8, 3, 3)" in message and "only in Flax" not in message


def test_control_a_layer_of_another_width_is_listed():
    message = refusal(Net("width", R), net_torch(), EVEN, first(EVEN))
    assert "only in Flax: f.kernel (8, 7)" in message and "only in Flax: g.kernel (7, 8)" in message
    assert message.count("only in PyTorch") == message.count("only in Flax") == 3  # one more bias of 8 fits


def test_control_a_missing_bias_is_listed():
    message = refusal(Net("bias", R), net_torch(), EVEN, first(EVEN))
    assert message.endswith("the same tensors: only in PyTorch: 5.bias (8,)")


def test_a_buffer_of_pytorch_needs_a_counterpart():
    theirs = T.Linear(8, 8)
    theirs.register_buffer("mask", torch.ones(5, 3))
    message = refusal(nnx.Linear(8, 8, rngs=R), theirs, S, torch.tensor(S))
    assert message.endswith("the same tensors: only in PyTorch: mask (5, 3)")
    theirs.register_buffer("mask", torch.ones(5, 3), persistent=False)
    verified(NNXModel(nnx.Linear(8, 8, rngs=R)), theirs, S, torch.tensor(S))


def test_a_model_that_does_not_run():
    theirs = T.Sequential(T.Linear(8, 8), T.Linear(8, 8))

    def broken(x: jax.Array) -> jax.Array:
        raise TypeError("no such thing")

    ours = Chain(nnx.Linear(8, 8, rngs=R), broken, nnx.Linear(8, 8, rngs=R))
    assert "does not run on these inputs: TypeError: no such thing" in refusal(ours, theirs, S, torch.tensor(S))
    assert "PyTorch's model does not run" in refusal(ours, theirs, S, torch.ones(3, 7))


class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array, training: bool) -> jax.Array:
        x = linen.Conv(8, (3, 3), padding=0, use_bias=False)(x)
        x = linen.relu(linen.BatchNorm(not training, momentum=0.9)(x))
        x = linen.Dropout(0.5, deterministic=not training)(x)
        x = linen.Dense(8)(x.reshape(x.shape[0], -1))
        return linen.Dense(3)(linen.relu(x))


def test_a_linen_model():
    module = LinenNet()
    model = linen_model(module, jnp.asarray(X2), False)
    theirs = T.Sequential(
        *(T.Conv2d(4, 8, 3, bias=False), T.BatchNorm2d(8), T.ReLU(inplace=True), T.Dropout(), T.Flatten()),
        *(T.Linear(280, 8), T.ReLU(inplace=True), T.Linear(8, 3)),
    )
    key_of = keys_by_path(verified(model, theirs, X2, first(X2)))
    assert key_of["batch_stats", "BatchNorm_0", "var"] == "1.running_var"


def test_neither_model_is_changed():
    ours = Net("", R)
    theirs = net_torch()
    before = {key: tensor.clone() for key, tensor in theirs.state_dict().items()}
    kernel = np.asarray(ours.c.kernel[...])
    match(NNXModel(ours), theirs, (EVEN,), (first(EVEN),))
    assert all(torch.equal(before[key], tensor) for key, tensor in theirs.state_dict().items())
    assert theirs.training and np.array_equal(kernel, ours.c.kernel[...])
    assert torch.backends.mha.get_fastpath_enabled()


class Gated(nnx.Module):
    def __init__(self, rngs):
        self.message, self.out = nnx.Linear(6, 6, rngs=rngs), nnx.Linear(6, 2, rngs=rngs)
        self.update, self.gate = nnx.GRUCell(6, 6, rngs=rngs), nnx.Linear(6, 6, rngs=rngs)

    def __call__(self, x):
        return self.out(self.update(x, self.message(x) * self.gate(x))[1])


class TorchGated(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.message, self.out, self.gate = torch.nn.Linear(6, 6), torch.nn.Linear(6, 2), torch.nn.Linear(6, 6)
        self.update = torch.nn.GRUCell(6, 6)

    def forward(self, x):
        return self.out(self.update(self.message(x) * self.gate(x), x))


def test_what_is_known_of_a_layer_is_told_where_most_names_are_the_same():
    with pytest.raises(InputError, match="update.weight_hh .* is only in PyTorch; .*nnx.GRUCell has no bias of"):
        parity.check(Gated(R), TorchGated(), np.ones((3, 6), np.float32))


class Sine(T.Module):
    def __init__(self):
        super().__init__()
        self.freq = T.Parameter(torch.ones(1, 7))

    def forward(self, x):
        return torch.sin(self.freq * x)


class Sines(nnx.Module):
    """Frequencies that names give to the wrong sines: PyTorch's are numbers 1 and 3."""

    def __init__(self, mistaken=False):
        self.l0, self.l1, self.l2 = nnx.Linear(4, 7, rngs=R), nnx.Linear(7, 7, rngs=R), nnx.Linear(7, 3, rngs=R)
        self.f0, self.f1, self.mistaken = nnx.Param(jnp.ones(7)), nnx.Param(jnp.ones(7)), mistaken

    def __call__(self, x):
        hidden = jnp.sin(self.f1 * self.l1(jnp.sin(self.f0 * self.l0(x))))
        return self.l2(hidden + 1 if self.mistaken else hidden)


@pytest.mark.parametrize("mistaken", [False, True], ids=["right", "control: with a mistake behind them"])
def test_weights_without_a_layer_are_exchanged_where_those_behind_them_do_not_fit(mistaken):
    torch.manual_seed(0)
    theirs = T.Sequential(T.Linear(4, 7), Sine(), T.Linear(7, 7), Sine(), T.Linear(7, 3))
    for layer in (theirs[1], theirs[3]):
        T.init.uniform_(layer.freq)  # type: ignore[arg-type]
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    leaves = match(NNXModel(Sines(mistaken)), theirs, (x,), (torch.tensor(x),))
    assert [leaf.path[0] for leaf in leaves if leaf.key.endswith("freq")] == ["f0", "f1"]
