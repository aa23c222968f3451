"""Small networks of both frameworks in which every mistake can be put."""

import jax
import jax.numpy as jnp
import torch
from flax import nnx
from matching import (
    T,
    values,
)


class Net(nnx.Module):
    """A small network in which every planted bug can be put."""

    def __init__(self, bug: str, rngs: nnx.Rngs):
        width = 7 if bug == "width" else 8
        self.c = nnx.Conv(4, 8, (3, 3), strides=2, padding="SAME" if bug == "padding" else 1, rngs=rngs)
        self.n = nnx.BatchNorm(8, epsilon=0.1 if bug == "epsilon" else 1e-5, rngs=rngs)
        self.d = nnx.Conv(8, 8, (3, 3), padding=1, rngs=rngs) if bug != "missing" else lambda x: x
        self.e = nnx.Conv(8, 8, (3, 3), padding=1, use_bias=bug != "bias", rngs=rngs)
        self.f = nnx.Linear(8, width, rngs=rngs)
        self.g = nnx.Linear(width, 8, rngs=rngs)
        self.h = nnx.Linear(8, 8, rngs=rngs)
        self.activation = jnp.tanh if bug == "activation" else jax.nn.relu
        self.bug = bug

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.n(self.c(x))
        x = self.e(self.activation(self.d(self.activation(x)))).mean((1, 2))
        x = self.f(x) if self.bug == "no activation" else jnp.tanh(self.f(x))
        x = self.g(x[:, ::-1] if self.bug == "flip" else x)
        return self.h(x)


def net_torch() -> T.Module:
    class Mean(T.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3))

    conv = lambda *args: T.Conv2d(*args, padding=1)  # noqa: E731
    head = [T.Linear(8, 8), T.Tanh(), T.Linear(8, 8), T.Linear(8, 8)]
    return T.Sequential(
        conv(4, 8, 3, 2), T.BatchNorm2d(8), T.ReLU(True), conv(8, 8, 3), T.ReLU(True), conv(8, 8, 3), Mean(), *head
    )


EVEN = values(2, 10, 7, 4)
