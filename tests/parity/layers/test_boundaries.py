"""A layer that ends elsewhere in Flax is no mistake where the models agree, and no excuse where they do not."""

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class Theirs(torch.nn.Module):
    """A residual around a layer, and with `gate` a second one that no loss depends on."""

    def __init__(self, gate: float):
        super().__init__()
        self.mix, self.idle, self.out = (torch.nn.Linear(6, n) for n in (6, 6, 3))
        self.gate = gate

    def forward(self, x):
        return self.out(torch.tanh(x + self.mix(x) + self.gate * self.idle(x)))


class Residual(nnx.Linear):
    def __call__(self, x, out_sharding=None):
        return x + super().__call__(x)


class Ours(nnx.Module):
    def __init__(self, gate: float, mix: type = Residual, idle: type = nnx.Linear):
        rngs = nnx.Rngs(0)
        self.mix, self.idle, self.out = mix(6, 6, rngs=rngs), idle(6, 6, rngs=rngs), nnx.Linear(6, 3, rngs=rngs)
        self.gate, self.residual = gate, mix is not Residual

    def __call__(self, x):
        x = self.mix(x) + self.gate * self.idle(x) + (x if self.residual else 0.0)
        return self.out(jnp.tanh(x))


def checked(ours: nnx.Module, gate: float) -> parity.Result:
    return parity.check(ours, Theirs(gate), X, steps=1, tiers=("float64",))


def test_a_residual_that_is_a_part_of_the_layer_in_flax_alone_is_said_and_is_no_mistake():
    result = checked(Ours(1.0), 1.0)
    assert result.status == "pass" and list(result.skipped) == ["mix"]
    assert [note for note in result.notes if note.startswith("mix: it ends or begins elsewhere in Flax")]


def test_control_a_layer_that_the_loss_does_not_depend_on_is_judged_on_its_own():
    result = checked(Ours(0.0, mix=nnx.Linear, idle=Residual), 0.0)
    assert result.status == "fail" and result.blame and result.blame.layer == "idle"


def test_control_the_same_layer_is_blamed_where_the_models_differ():
    result = checked(Ours(1.0, idle=Residual), 1.0)
    assert result.status == "fail" and result.blame and result.blame.layer in ("idle", "mix")
