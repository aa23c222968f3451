"""First steps of optimisers, and clipping, that differ."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

SLOPE = 0.1


def theirs(make) -> float:
    """Returns how far PyTorch's optimiser moves a parameter whose gradient is `SLOPE`."""
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    parameter.grad = torch.full((1,), SLOPE, dtype=torch.float64)
    make([parameter]).step()
    return parameter.item()


def ours(optimizer: optax.GradientTransformation) -> float:
    """Returns how far Optax's does."""
    zeros = jnp.zeros(1)
    return optimizer.update(jnp.full(1, SLOPE), optimizer.init(zeros), zeros)[0].item()  # type: ignore[union-attr]


def test_first_step_of_adagrad():
    assert theirs(lambda p: torch.optim.Adagrad(p, lr=1.0)) == pytest.approx(-1)
    assert ours(optax.adagrad(1.0)) == pytest.approx(-SLOPE / np.sqrt(0.1 + SLOPE**2), rel=1e-4)


def test_first_step_of_rprop():
    assert theirs(lambda p: torch.optim.Rprop(p, lr=0.01)) == pytest.approx(-0.01)
    assert ours(optax.rprop(0.01)) == 0


def test_clipping():
    gradient = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    gradient.grad = torch.full((1,), 2.0, dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([gradient], 1.0)
    clip = optax.clip_by_global_norm(1.0)
    zeros = jnp.zeros(1)
    clipped = clip.update(jnp.full(1, 2.0), clip.init(zeros))[0]
    assert gradient.grad.item() == pytest.approx(2 / (2 + 1e-6), abs=1e-12)
    assert float(np.asarray(clipped).item()) == 1
