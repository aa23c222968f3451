"""Inputs of which PyTorch's model detaches what it makes of them, as the points of a gradient penalty."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


class Penalised(nnx.Module):
    """What a critic says, and how steep it is at shifted points, through which gradients flow into the data."""

    def __init__(self, factor: float, stopped: bool):
        self.critic = nnx.Linear(3, 1, rngs=nnx.Rngs(0))
        self.factor, self.stopped = factor, stopped

    def __call__(self, x):
        score = lambda point: jnp.tanh(self.critic(point))[0]  # noqa: E731
        slopes = jax.vmap(jax.grad(score))(0.5 * x)
        seen = jax.lax.stop_gradient(x) if self.stopped else x
        return self.factor * jax.vmap(score)(seen) + (slopes**2).sum(-1)


class TorchPenalised(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.critic = torch.nn.Linear(3, 1)

    def forward(self, x):
        with torch.enable_grad():
            points = (0.5 * x).detach().requires_grad_()
            score = torch.tanh(self.critic(points)).sum()
            (slopes,) = torch.autograd.grad(score, points, create_graph=True)
        return torch.tanh(self.critic(x))[:, 0] + (slopes**2).sum(-1)


@pytest.mark.parametrize(
    ("factor", "stopped", "status"),
    [(1, False, "pass"), (1, True, "fail"), pytest.param(1.001, False, "fail", marks=pytest.mark.slow)],
    ids=["right", "control: the gradient that PyTorch has is stopped", "control: another factor"],
)
def test_a_gradient_into_the_data_that_pytorch_detaches_is_a_note(factor, stopped, status):
    result = parity.check(Penalised(factor, stopped), TorchPenalised(), X, steps=2, tiers=("float64",))
    assert result.status == status, result.blame
    assert any("PyTorch detaches a part" in note for note in result.notes) == (status == "pass")
