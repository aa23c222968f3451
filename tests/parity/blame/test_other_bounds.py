"""Modules that end elsewhere in Flax, in a model with a mistake in another layer: they are not blamed for it."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(3, 6, 5)).astype(np.float32)


class Reflected(nnx.Module):
    """A padded convolution alone: what comes behind it is the model's own affair."""

    def __init__(self, rngs: nnx.Rngs):
        self.conv = nnx.Conv(5, 5, (3,), padding="VALID", rngs=rngs)

    def __call__(self, x):
        return self.conv(jnp.pad(x, ((0, 0), (1, 1), (0, 0)), mode="reflect"))


class Scaled(nnx.Module):
    def __init__(self, ddof: int):
        self.gamma, self.ddof = nnx.Param(jnp.ones(5)), ddof

    def __call__(self, x):
        return x / x.std(-1, keepdims=True, ddof=self.ddof) * self.gamma[...]


class Net(nnx.Module):
    def __init__(self, ddof: int, activation):
        rngs = nnx.Rngs(0)
        self.blocks = nnx.List([Reflected(rngs) for _ in range(2)])
        self.norm, self.activation = Scaled(ddof), activation

    def __call__(self, x):
        first, second = self.blocks
        return self.activation(second(self.norm(jnp.tanh(first(x)))))


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.pad = torch.nn.ReflectionPad1d(1)
        self.conv = torch.nn.Conv1d(5, 5, 3)
        self.activation = torch.nn.Tanh()

    def forward(self, x):
        return self.activation(self.conv(self.pad(x)))


class TorchScaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gamma = torch.nn.Parameter(torch.ones(5))

    def forward(self, x):
        return x / x.std(1, keepdim=True) * self.gamma[:, None]


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([TorchBlock() for _ in range(2)])
        self.norm = TorchScaled()

    def forward(self, x):
        first, second = self.blocks
        return second(self.norm(first(x.transpose(1, 2)))).transpose(1, 2)


@pytest.mark.parametrize(
    ("activation", "blamed"),
    [(jnp.tanh, {"norm"}), (lambda x: x, {"norm", "blocks.1"})],
    ids=["the norm alone", "control: an activation is missing, too"],
)
def test_a_block_that_ends_elsewhere_is_blamed_only_where_something_is_missing(activation, blamed):
    result = parity.check(Net(0, activation), TorchNet(), X, steps=1, tiers=("float64",))
    assert result.blame is not None
    assert {name for name in ("norm", "blocks.0", "blocks.1") if f"{name} (" in result.blame.text} == blamed
