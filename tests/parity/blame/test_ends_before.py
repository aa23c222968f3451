"""A normalisation that has its activation within, in PyTorch, is no mistake where Flax's model computes it behind."""

import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


class NormAct(torch.nn.LayerNorm):
    def __init__(self, size):
        super().__init__(size)
        self.act = torch.nn.SiLU()

    def forward(self, x):
        return self.act(super().forward(x))


class TorchGate(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up, self.gate = torch.nn.Linear(5, 3), torch.nn.Linear(3, 5), torch.nn.Sigmoid()

    def forward(self, x):
        return x * self.gate(self.up(torch.relu(self.down(x))))


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm1, self.gate = torch.nn.Linear(5, 5), NormAct(5), TorchGate()
        self.second, self.norm2, self.head = torch.nn.Linear(5, 5), NormAct(5), torch.nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.norm2(self.second(self.gate(self.norm1(self.first(x))))))


class Gate(nnx.Module):
    def __init__(self, gate, rngs):
        self.down, self.up = nnx.Linear(5, 3, rngs=rngs), nnx.Linear(3, 5, rngs=rngs)
        self.gate = gate

    def __call__(self, x):
        return x * self.gate(self.up(nnx.relu(self.down(x))))


class Net(nnx.Module):
    """Activations stand behind the norms; `missing` leaves out the second."""

    def __init__(self, gate=nnx.sigmoid, missing=False):
        rngs = nnx.Rngs(0)
        self.first, self.second = (nnx.Linear(5, 5, rngs=rngs) for _ in range(2))
        self.norm1, self.norm2 = (nnx.LayerNorm(5, epsilon=1e-5, rngs=rngs) for _ in range(2))
        self.gate, self.head = Gate(gate, rngs), nnx.Linear(5, 2, rngs=rngs)
        self.missing = missing

    def __call__(self, x):
        x = self.norm2(self.second(self.gate(nnx.silu(self.norm1(self.first(x))))))
        return self.head(x if self.missing else nnx.silu(x))


def blamed(model):
    result = parity.check(model, TorchNet(), X, steps=1, tiers=("float64",))
    return result.blame and (result.blame.layer.split(".")[0], [other.layer for other in result.blame.others])


@pytest.mark.parametrize(
    "model, place",
    [
        pytest.param(Net(), None, marks=pytest.mark.slow),
        (Net(gate=nnx.hard_sigmoid), ("gate", [])),
        (Net(missing=True), ("norm2", [])),
    ],
)
def test_what_a_norm_has_within_is_blamed_where_it_is_missing_alone(model, place):
    assert blamed(model) == place
