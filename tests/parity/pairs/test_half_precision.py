"""Half precision is refused in one line, or told: never a silent pass, never a false alarm."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.errors import InputError

X = np.random.default_rng(0).normal(size=(4, 6)).astype("f4")


class Net(nnx.Module):
    def __init__(self, **options):
        self.first = nnx.Linear(6, 6, rngs=nnx.Rngs(0), **options)
        self.last = nnx.Linear(6, 3, rngs=nnx.Rngs(1), **options)

    def __call__(self, x):
        return self.last(nnx.relu(self.first(x)))


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 6)
        self.last = torch.nn.Linear(6, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


class Autocast(TorchNet):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x).float()


HALF = {"dtype": jnp.bfloat16, "param_dtype": jnp.bfloat16}


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (Net(**HALF), TorchNet().bfloat16(), "PyTorch's first.weight is bfloat16"),
        (Net(), TorchNet().half(), "PyTorch's first.weight is float16"),
        (Net(param_dtype=jnp.float16), TorchNet(), "is float16"),
        (Net(), Autocast(), "PyTorch's model computes in bfloat16"),
    ],
)
def test_half_precision_is_refused_with_what_would_be_right(ours, theirs, words):
    with pytest.raises(InputError, match="float32 is right for both") as refused:
        parity.check(ours, theirs, X, steps=1)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_port_that_computes_in_bfloat16_fails():
    result = parity.check(Net(dtype=jnp.bfloat16), TorchNet(), X, steps=1)
    assert result.status == "fail"
    assert result.blame is not None
    assert result.blame.layer == "first"
    assert "bfloat16" in result.blame.text


def test_a_float32_model_may_be_run_in_bfloat16():
    assert parity.check(Net(), TorchNet(), X, steps=1, tiers=("float64", "bfloat16")).status == "pass"
