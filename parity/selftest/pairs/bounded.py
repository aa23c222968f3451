"""A correct twin with bounds that random numbers do not reach."""

import jax.numpy as jnp
import torch
from flax import nnx
from jaxtyping import Array, Float

from parity.selftest.bug import Pair
from parity.selftest.pairs.building import dense

T = torch.nn
LOW, HIGH = -20.0, 12.0


class Policy(nnx.Module):
    """The mean of an action, and the logarithm of its deviation between two bounds."""

    def __init__(self):
        self.body = dense(5, 6)
        self.mean = dense(6, 2)
        self.log_std = dense(6, 2)

    def __call__(self, x: Float[Array, "batch 5"]) -> Array:
        x = nnx.relu(self.body(x))
        return jnp.concatenate([self.mean(x), self.bounded(self.log_std(x))], 1)

    def bounded(self, x: Array) -> Array:
        return jnp.clip(x, LOW, HIGH)


class TorchPolicy(T.Module):
    def __init__(self):
        super().__init__()
        self.body = T.Linear(5, 6)
        self.mean = T.Linear(6, 2)
        self.log_std = T.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.body(x))
        return torch.cat([self.mean(x), self.log_std(x).clamp(LOW, HIGH)], 1)


POLICY = Pair("policy with bounds", Policy, TorchPolicy, (6, 5))
