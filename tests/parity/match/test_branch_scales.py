"""Scales of a block's branches, one array in Flax and two vectors in PyTorch, are no scale and bias of a norm."""

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.first = torch.nn.LayerNorm(6), torch.nn.Linear(6, 6)
        self.norm2, self.second = torch.nn.LayerNorm(6), torch.nn.Linear(6, 6)
        self.gamma_1, self.gamma_2 = torch.nn.Parameter(torch.ones(6)), torch.nn.Parameter(torch.ones(6))

    def forward(self, x):
        x = x + self.gamma_1 * torch.tanh(self.first(self.norm1(x)))
        return x + self.gamma_2 * torch.tanh(self.second(self.norm2(x)))


class Block(nnx.Module):
    def __init__(self, mistaken: bool):
        rngs = nnx.Rngs(0)
        self.norms = nnx.List(nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs) for _ in range(2))
        self.layers = nnx.List(nnx.Linear(6, 6, rngs=rngs) for _ in range(2))
        self.gamma, self.mistaken = nnx.Param(jnp.ones((2, 6))), mistaken

    def __call__(self, x):
        for number, (norm, layer) in enumerate(zip(self.norms, self.layers)):
            y = layer(norm(x))
            x = x + self.gamma[number] * (y if self.mistaken else jnp.tanh(y))
        return x


def checked(mistaken: bool) -> parity.Result:
    return parity.check(Block(mistaken), TorchBlock(), X, steps=1, tiers=("float64",))


def test_one_array_holds_the_scales_of_both_branches():
    result = checked(mistaken=False)
    assert result.status == "pass"
    assert {leaf.key for leaf in result.weights if "gamma" in str(leaf.path)} == {"gamma_1", "gamma_2"}


def test_control_a_missing_activation_between_them_fails():
    assert checked(mistaken=True).status == "fail"
