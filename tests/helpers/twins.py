"""A Flax model and its PyTorch twin with the same weights in float64."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import parity
from d2l_jax import models
from parity import reference
from parity.twin.structure import with_shapes


def twins(name: str, **args: Any) -> tuple[nnx.Module, torch.nn.Module]:
    """Returns the two models called `name`, freshly initialised by PyTorch."""
    theirs = getattr(reference, name)(**args).double()
    return parity.load_state_dict(outline(name, **args), theirs.state_dict(), jnp.float64), theirs


def outline(name: str, **args: Any) -> nnx.Module:
    """The Flax model without numbers, which take seconds to draw."""
    return with_shapes(lambda: getattr(models, name)(**args, rngs=nnx.Rngs(0)))


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def in_torch(*arrays: np.ndarray) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(array) for array in arrays)


def in_jax(*arrays: np.ndarray) -> tuple[jnp.ndarray, ...]:
    return tuple(jnp.asarray(array) for array in arrays)
