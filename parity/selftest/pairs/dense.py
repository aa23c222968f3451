"""Correct twins of dense layers and activations."""

from functools import partial

import jax.numpy as jnp
import torch
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import losses
from parity.selftest.bug import Pair
from parity.selftest.layers import Function, Stack
from parity.selftest.pairs.building import MOMENTUM, dense, named, rngs

T = torch.nn


def mlp() -> Stack:
    return Stack(
        square=dense(7, 7),
        act=Function(nnx.relu),
        norm=nnx.LayerNorm(7, epsilon=1e-5, use_fast_variance=False, rngs=rngs()),
        drop=nnx.Dropout(0.2, rngs=rngs()),
        out=dense(7, 9),
    )


def torch_mlp() -> T.Module:
    return named(square=T.Linear(7, 7), act=T.ReLU(), norm=T.LayerNorm(7), drop=T.Dropout(0.2), out=T.Linear(7, 9))


def softplus(x: Array) -> Array:
    """PyTorch's softplus: exactly linear above its threshold."""
    return jnp.where(x > 20, x, jnp.logaddexp(jnp.where(x > 20, 0, x), 0))


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """PyTorch's leaky ReLU: at 0 it has the negative slope, where `jax.nn.leaky_relu` has 1."""
    return jnp.where(x > 0, x, negative_slope * x)


def activations() -> Stack:
    return Stack(
        one=dense(5, 6),
        gelu=Function(partial(nnx.gelu, approximate=False)),
        two=dense(6, 7),
        leaky=Function(leaky_relu),
        three=dense(7, 6),
        elu=Function(partial(nnx.elu, alpha=1.0)),
        four=dense(6, 8),
        softplus=Function(softplus),
        five=dense(8, 6),
        relu=Function(nnx.relu),
        out=dense(6, 4),
        softmax=Function(partial(nnx.softmax, axis=1)),
    )


def torch_activations() -> T.Module:
    return named(
        one=T.Linear(5, 6),
        gelu=T.GELU(),
        two=T.Linear(6, 7),
        leaky=T.LeakyReLU(0.01),
        three=T.Linear(7, 6),
        elu=T.ELU(),
        four=T.Linear(6, 8),
        softplus=T.Softplus(),
        five=T.Linear(8, 6),
        relu=T.ReLU(),
        out=T.Linear(6, 4),
        softmax=T.Softmax(1),
    )


class TwoHeads(nnx.Module):
    """A body with two outputs."""

    def __init__(self):
        self.body = dense(5, 6)
        self.left = dense(6, 3)
        self.right = dense(6, 1)

    def __call__(self, x: Float[Array, "batch 5"]) -> tuple:
        x = nnx.relu(self.body(x))
        return self.left(x), self.right(x)


class TorchTwoHeads(T.Module):
    def __init__(self):
        super().__init__()
        self.body = T.Linear(5, 6)
        self.left = T.Linear(6, 3)
        self.right = T.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> tuple:
        x = torch.relu(self.body(x))
        return self.left(x), self.right(x)


DEPTH = 12


def deep() -> Stack:
    layers = {f"layer{i}": dense(6, 6) for i in range(DEPTH)}
    return Stack(**{name: part for n in layers for name, part in ((n, layers[n]), (f"{n}_act", Function(jnp.tanh)))})


def torch_deep() -> T.Module:
    parts = ((f"layer{i}", T.Linear(6, 6), f"layer{i}_act", T.Tanh()) for i in range(DEPTH))
    return named(**{name: part for a, b, c, d in parts for name, part in ((a, b), (c, d))})


def small(outputs: int = 4) -> Stack:
    return Stack(hidden=dense(5, 7), act=Function(jnp.tanh), out=dense(7, outputs))


def torch_small(outputs: int = 4) -> T.Module:
    return named(hidden=T.Linear(5, 7), act=T.Tanh(), out=T.Linear(7, outputs))


MLP = Pair("mlp", mlp, torch_mlp, (6, 7), labels=True, loss=losses.cross_entropy, optimizer=MOMENTUM)
ACTIVATIONS = Pair("activations", activations, torch_activations, (9, 5), scale=6.0)
TWO_HEADS = Pair("two heads", TwoHeads, TorchTwoHeads, (6, 5))
DEEP = Pair("deep", deep, torch_deep, (13, 6))
SMALL = Pair("small", small, torch_small, (6, 5))
COLUMN = Pair("column", partial(small, 1), partial(torch_small, 1), (6, 5))
