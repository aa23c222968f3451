"""Correct twins that use a layer several times, or several layers side by side: a flow, and crossed attention."""

import jax
import jax.numpy as jnp
import torch
from flax import nnx
from jaxtyping import Array, Float

from parity.selftest.bug import Pair
from parity.selftest.pairs.building import dense

T = torch.nn
STEPS = 4


class Flow(nnx.Module):
    """Steps of Euler's along a field that knows the time."""

    step = 1 / STEPS

    def __init__(self):
        self.field = dense(5, 4)
        self.out = dense(4, 2)

    def __call__(self, x: Float[Array, "batch 4"]) -> Array:
        for i in range(STEPS):
            time = jnp.full((len(x), 1), i * self.step, x.dtype)
            x = x + self.step * jnp.tanh(self.field(jnp.concatenate([x, time], -1)))
        return self.out(x)


class TorchFlow(T.Module):
    def __init__(self):
        super().__init__()
        self.field = T.Linear(5, 4)
        self.out = T.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(STEPS):
            time = x.new_full((len(x), 1), i / STEPS)
            x = x + torch.tanh(self.field(torch.cat([x, time], -1))) / STEPS
        return self.out(x)


class Crossed(nnx.Module):
    """Attention of the first steps of a sequence to its last."""

    def __init__(self):
        self.query, self.key, self.value = dense(4, 6), dense(4, 6), dense(4, 6)
        self.out = dense(6, 3)

    def __call__(self, x: Float[Array, "batch 8 4"]) -> Array:
        first, last = jnp.split(x, 2, axis=1)
        query, key = self.placed(self.query(first), self.key(last))
        weights = jax.nn.softmax(jnp.einsum("bqd,bkd->bqk", query, key) / 6**0.5)
        return self.out(jnp.einsum("bqk,bkd->bqd", weights, self.value(last)))

    def placed(self, query: Array, key: Array) -> tuple[Array, Array]:
        return query, key


class TorchCrossed(T.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (T.Linear(4, 6) for _ in range(3))
        self.out = T.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, last = x.chunk(2, 1)
        weights = torch.softmax(self.query(first) @ self.key(last).transpose(1, 2) / 6**0.5, -1)
        return self.out(weights @ self.value(last))


FLOW = Pair("flow", Flow, TorchFlow, (6, 4))
CROSSED = Pair("crossed attention", Crossed, TorchCrossed, (2, 8, 4))
