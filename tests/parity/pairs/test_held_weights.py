"""`weights="as they are"`: are these two, with the weights that they hold, the same?"""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.nn import BatchNorm

X = np.random.default_rng(0).normal(size=(4, 6)).astype("f4")


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.first = nnx.Linear(6, 6, rngs=rngs)
        self.norm = BatchNorm(6)
        self.last = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.norm(self.first(x))))


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 6)
        self.norm = torch.nn.BatchNorm1d(6)
        self.last = torch.nn.Linear(6, 3)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.first(x))))


def converted() -> tuple[Net, TorchNet]:
    theirs = TorchNet()
    return parity.load_state_dict(Net(nnx.Rngs(0)), theirs.state_dict()), theirs


def checked(ours: Net, theirs: TorchNet, **options) -> parity.Result:
    return parity.check(ours, theirs, X, weights="as they are", steps=1, **options)


def test_a_converted_model_passes_and_the_result_says_what_was_compared():
    result = checked(*converted())
    assert result.status == "pass"
    assert result.settings["weights"] == "as they are"
    names = {row.name for row in result.rows["float64"] if row.phase == "weights"}
    assert {"first.weight", "norm.running_var", "last.bias"} <= names


def test_without_it_the_weights_are_random_and_the_result_says_so():
    ours, theirs = converted()
    ours.last.bias.set_value(ours.last.bias[...] + 1)
    result = parity.check(ours, theirs, X, steps=1)
    assert result.status == "pass"
    assert result.settings["weights"] == "random"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda net: net.first.kernel.set_value(net.first.kernel[...].T),
            "first.weight: Flax holds PyTorch's values tr",
        ),
        (lambda net: net.norm.mean.set_value(net.norm.mean[...] + 1), "norm.running_mean: Flax's values are all 1"),
        (lambda net: net.last.bias.set_value(jnp.zeros(3)), "last.bias: Flax's values are all 0"),
        (
            lambda net: net.last.kernel.set_value(net.last.kernel[...].astype(jnp.bfloat16).astype(jnp.float32)),
            "last.weight: Flax's values are PyTorch's rounded to bfloat16",
        ),
        (lambda net: net.last.kernel.set_value(net.last.kernel[...] * (1 + 1e-6)), "last.weight: other numbers"),
        (lambda net: net.first.kernel.set_value(net.first.kernel[::-1]), "reversed along axis 1"),
    ],
)
def test_a_tensor_that_differs_is_named(change, words):
    ours, theirs = converted()
    change(ours)
    result = checked(ours, theirs)
    assert result.status == "fail"
    assert result.blame is not None
    assert result.blame.direction == "weights"
    assert words in result.blame.text
    assert "1 of 9 tensors" in result.blame.text


@pytest.mark.slow
def test_the_models_are_compared_too_and_start_from_pytorchs_weights():
    ours, theirs = converted()
    ours.norm.eps = 1e-3
    result = checked(ours, theirs)
    assert result.status == "fail"
    assert result.blame is not None
    assert result.blame.layer == "norm"


@pytest.mark.slow
def test_models_of_zeros_alone_pass():
    ours, theirs = converted()
    for parameter in theirs.parameters():
        parameter.data.zero_()
    assert checked(parity.load_state_dict(ours, theirs.state_dict()), theirs).status == "pass"
