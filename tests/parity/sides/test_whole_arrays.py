"""An optimiser that takes norms, beside arrays that hold several of PyTorch's tensors: it meets them whole."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen, nnx

import parity

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(4)
        self.dense = torch.nn.Linear(4, 4)

    def forward(self, x):
        return x + torch.tanh(self.dense(self.norm(x)))


class LinenBlock(linen.Module):
    @linen.compact
    def __call__(self, x, _):
        return x + jnp.tanh(linen.Dense(4)(linen.LayerNorm(epsilon=1e-5, use_fast_variance=False)(x))), None


class LinenStack(linen.Module):
    @linen.compact
    def __call__(self, x):
        scanned = linen.scan(LinenBlock, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return scanned(name="layers")(x, None)[0]


class NNXBlock(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.LayerNorm(4, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.dense = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x):
        return x + jnp.tanh(self.dense(self.norm(x)))


class NNXStack(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.vmap(NNXBlock)(rngs.split(3))

    def __call__(self, x):
        return nnx.scan(lambda x, layer: layer(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(x, self.layers)


class Normed(torch.optim.Optimizer):
    """A step of the length of each tensor."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * p.norm() / p.grad.norm() * p.grad)


def normed(lr: float, axes=lambda path: None) -> optax.GradientTransformation:
    """The same; `axes`: of an array by its path, those that a norm is over."""

    def norm(path, x):
        axis = axes(jax.tree_util.keystr(path))
        return jnp.sqrt(jnp.sum(x**2, axis, keepdims=axis is not None))

    def update(grads, state, params):
        def step(path, g, p):
            return -lr * norm(path, p) / norm(path, g) * g

        return jax.tree_util.tree_map_with_path(step, grads, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def of_each_layer(path: str) -> tuple[int, ...] | None:
    return (1, 2) if "kernel" in path else (1,)


STACKS = {"linen": LinenStack, "nnx": lambda: NNXStack(nnx.Rngs(0))}


def checked(flax, transformation: optax.GradientTransformation, make=lambda p: Normed(p, lr=0.01)):
    blocks = torch.nn.Sequential(*(Block() for _ in range(3)))
    return parity.check(STACKS[flax](), blocks, X, optimizer=(transformation, make), steps=2, tiers=("float64",))


@pytest.mark.parametrize("flax", STACKS)
def test_one_norm_over_stacked_layers_is_not_one_of_each(flax: str):
    result = checked(flax, normed(0.01))
    assert result.status == "fail"
    assert result.blame and result.blame.cause == "norm-of-several"
    assert "layers" in str(result.blame)
    assert "(of 3)" in str(result.blame)


def test_norms_of_each_layer_in_the_stack_are_pytorchs():
    assert checked("linen", normed(0.01, of_each_layer))


def test_optimisers_of_single_numbers_meet_stacks_too():
    assert checked("linen", optax.adamw(0.01, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1))


def test_control_another_rate_is_no_norm():
    result = checked("linen", normed(0.02, of_each_layer))
    assert result.status == "fail"
    assert result.blame and result.blame.cause == "learning-rate"
