"""First steps of optimisers, their defaults, and clipping, that differ."""

from inspect import signature

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


def test_the_decay_of_adamw():
    ours_decays = signature(optax.adamw).parameters["weight_decay"].default
    theirs_decays = torch.optim.AdamW([torch.zeros(1, requires_grad=True)]).defaults["weight_decay"]
    assert (ours_decays, theirs_decays) == (1e-4, 1e-2)


def test_first_step_of_rmsprop():
    eps = 0.1
    assert theirs(lambda p: torch.optim.RMSprop(p, lr=1.0, eps=eps)) == pytest.approx(-1 / (0.1 + eps / SLOPE))
    same_decay = ours(optax.rmsprop(1.0, decay=0.99, eps=eps))
    assert same_decay == pytest.approx(-SLOPE / np.sqrt(0.01 * SLOPE**2 + eps), rel=1e-5)
    assert ours(optax.rmsprop(1.0, decay=0.99, eps=eps, eps_in_sqrt=False)) == pytest.approx(-1 / (0.1 + eps / SLOPE))
    assert signature(optax.rmsprop).parameters["decay"].default == 0.9
    assert torch.optim.RMSprop([torch.zeros(1, requires_grad=True)]).defaults["alpha"] == 0.99


def test_second_step_of_nadam(set_jax):
    set_jax("jax_numpy_dtype_promotion", "standard")

    def both(steps: int) -> tuple[float, float]:
        parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        their_optimizer = torch.optim.NAdam([parameter], lr=0.1)
        our_optimizer = optax.nadam(0.1)
        moved = jnp.zeros(1)
        state = our_optimizer.init(moved)
        for gradient in [1.0, -0.5][:steps]:
            parameter.grad = torch.full((1,), gradient, dtype=torch.float64)
            their_optimizer.step()
            updates, state = our_optimizer.update(jnp.full(1, gradient), state, moved)
            moved = moved + updates  # type: ignore[operator]
        return float(moved[0]), parameter.item()

    one, other = both(2)
    assert abs(one - other) > 1e-2


def test_dtypes_of_optimisers_states():
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    parameter.grad = torch.ones_like(parameter)
    torch.optim.ASGD([parameter], lr=0.01, lambd=0.0).step()
    assert 1e-11 < abs(parameter.item() + 0.01) < 1e-9
