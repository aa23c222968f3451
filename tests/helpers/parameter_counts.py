"""Numbers of trained parameters, on both sides."""

import math

import torch
from flax import nnx

from d2l_jax.weights.rules import leaves


def flax_count(model: nnx.Module) -> int:
    trained = {leaf.path: leaf.shape for leaf in leaves(model) if leaf.trained}
    return sum(math.prod(shape) for shape in trained.values())


def torch_count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
