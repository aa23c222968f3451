"""One recurrent layer of each framework with the same weights."""

from typing import Any

import jax.numpy as jnp
import torch
from flax import nnx

import parity
from d2l_jax import nn

KINDS = ("RNN", "LSTM", "GRU")


def pair(kind: str, input_size: int, hidden_size: int, num_layers: int = 1, **options: Any):
    """PyTorch's layer and ours, with its weights, in float64."""
    theirs = getattr(torch.nn, kind)(input_size, hidden_size, num_layers, **options).double()
    ours = getattr(nn, kind)(input_size, hidden_size, num_layers, **options, rngs=nnx.Rngs(0))
    return theirs, parity.load_state_dict(ours, theirs.state_dict(), dtype=jnp.float64)
