"""One normalisation of PyTorch's, half of whose channels are those of a module in Flax: buffers go with weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from matching import linen_model, verified

import parity
from d2l_jax import nn
from d2l_jax.errors import InputError
from parity.match import match
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(7, 8)).astype(np.float32)
IMAGES = np.random.default_rng(0).normal(size=(3, 6, 5, 8)).astype(np.float32)


class Own(nnx.Module):
    """A batch norm of somebody's own, with PyTorch's names of half of its tensors."""

    def __init__(self, channels: int, biased: bool = False):
        self.weight, self.bias = nnx.Param(jnp.ones(channels)), nnx.Param(jnp.zeros(channels))
        self.mean, self.var = nnx.BatchStat(jnp.zeros(channels)), nnx.BatchStat(jnp.ones(channels))
        self.biased, self.use_running_average = biased, False

    def __call__(self, x: jax.Array) -> jax.Array:
        mean, var = self.mean[...], self.var[...]
        if not self.use_running_average:
            axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
            mean, var = x.mean(axes), x.var(axes)
            self.mean[...] = 0.9 * self.mean[...] + 0.1 * mean
            self.var[...] = 0.9 * self.var[...] + 0.1 * var * (1.0 if self.biased else count / (count - 1))
        return (x - mean) * jax.lax.rsqrt(var + 1e-5) * self.weight[...] + self.bias[...]


def stock(channels: int) -> nnx.BatchNorm:
    return nnx.BatchNorm(channels, momentum=0.9, epsilon=1e-5, rngs=nnx.Rngs(0))


class Gated(nnx.Module):
    """The halves, the second one first."""

    def __init__(self, norm: type = Own, sizes: tuple[int, int] = (6, 6), **options: bool):
        first, second = sizes
        self.core, self.filter = (nnx.Linear(8, size, rngs=nnx.Rngs(0)) for size in (second, first))
        self.norm_core, self.norm_filter = norm(second, **options), norm(first)
        self.out = nnx.Linear(4, 3, rngs=nnx.Rngs(0))

    def __call__(self, x: jax.Array) -> jax.Array:
        gate, core = self.norm_filter(self.filter(x)), self.norm_core(self.core(x))
        return self.out(jax.nn.sigmoid(gate[..., :4]) * jnp.tanh(core[..., :4]))


class Linen(linen.Module):
    train: bool = False

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def half() -> jax.Array:
            norm = linen.BatchNorm(use_running_average=not self.train, momentum=0.9, epsilon=1e-5)
            return norm(linen.Dense(6)(x))

        return linen.Dense(3)(jax.nn.sigmoid(half()[..., :4]) * jnp.tanh(half()[..., :4]))


class Split(nnx.Module):
    """A model of one convolution and `count` norms, each of half of its channels."""

    def __init__(self, count: int = 2):
        self.conv = nnx.Conv(8, 12, (3, 3), rngs=nnx.Rngs(0))
        self.norms = nnx.List(stock(6) for _ in range(count))

    def __call__(self, x: jax.Array) -> jax.Array:
        gate, core = jnp.split(self.conv(x), 2, -1)
        return jax.nn.sigmoid(self.norms[0](gate)) * jnp.tanh(self.norms[-1](core))


class TorchGated(torch.nn.Module):
    def __init__(self, sizes: tuple[int, int] = (6, 6)):
        super().__init__()
        self.sizes = sizes
        self.both, self.out = torch.nn.Linear(8, sum(sizes)), torch.nn.Linear(4, 3)
        self.bn = torch.nn.BatchNorm1d(sum(sizes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, core = self.bn(self.both(x)).split(self.sizes, -1)
        return self.out(torch.sigmoid(gate[..., :4]) * torch.tanh(core[..., :4]))


class TorchSplit(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = torch.nn.Conv2d(8, 12, 3, padding=1), torch.nn.BatchNorm2d(12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, core = self.bn(self.conv(x)).chunk(2, 1)
        return torch.sigmoid(gate) * torch.tanh(core)


def rows(leaves: list, name: str) -> dict:
    return {leaf.path[-2]: leaf.rows for leaf in leaves if leaf.key == f"bn.{name}"}


@pytest.mark.parametrize("norm, sizes", [(Own, (4, 7)), (stock, (6, 6))])
def test_buffers_of_a_part_of_the_channels_go_with_its_weights(norm, sizes):
    leaves = verified(NNXModel(Gated(norm, sizes)), TorchGated(sizes), X, torch.tensor(X, dtype=torch.float64))
    parts = {"norm_filter": (0, sizes[0]), "norm_core": (sizes[0], sum(sizes))}
    assert all(rows(leaves, name) == parts for name in ("weight", "bias", "running_mean", "running_var"))


def test_linens_halves_and_those_of_images():
    leaves = verified(linen_model(Linen(), X), TorchGated(), X, torch.tensor(X, dtype=torch.float64))
    assert rows(leaves, "running_var") == {"BatchNorm_0": (0, 6), "BatchNorm_1": (6, 12)}
    first = torch.tensor(IMAGES, dtype=torch.float64).movedim(-1, 1)
    leaves = verified(NNXModel(Split()), TorchSplit(), IMAGES, first)
    assert rows(leaves, "running_mean") == {0: (0, 6), 1: (6, 12)}


def test_counts_of_steps_are_every_parts():
    leaves = match(NNXModel(Gated(nn.BatchNorm)), TorchGated(), (X,), (torch.tensor(X),))
    assert rows(leaves, "num_batches_tracked") == {"norm_core": None, "norm_filter": None}


def test_control_one_norm_for_both_halves_is_refused():
    with pytest.raises(InputError, match="only in PyTorch: bn.running_mean"):
        match(NNXModel(Split(count=1)), TorchSplit(), (IMAGES,), (torch.tensor(IMAGES).movedim(-1, 1),))


@pytest.mark.parametrize("biased", [False, True])
def test_a_half_that_is_wrong_fails_at_its_rows(biased):
    result = parity.check(Gated(biased=biased), TorchGated(), X, steps=1, tiers=("float64",))
    assert result.status == ("fail" if biased else "pass")
    assert not biased or "6 to 11" in str(result.blame)
