"""Large constants in a body: what is added and taken away again costs digits that no neighbour of an input shows."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.layers import isolate
from parity.proof import judging
from parity.proof.proof import check_twin
from parity.selftest.run import pairs
from parity.sides.disturb_operations import EveryOperation, rounding_otherwise

WIDTH = 6
INPUTS = np.random.default_rng(0).normal(size=(4, 5, WIDTH)).astype(np.float32)


class Torch(torch.nn.Module):
    def __init__(self, body):
        super().__init__()
        self.first = torch.nn.Linear(WIDTH, WIDTH)
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.body = body

    def forward(self, x):
        return self.norm(self.body(self.first(x)))


class Flax(nnx.Module):
    def __init__(self, body, eps: float):
        self.first = nnx.Linear(WIDTH, WIDTH, rngs=nnx.Rngs(0))
        self.norm = nnx.LayerNorm(WIDTH, epsilon=eps, use_fast_variance=False, rngs=nnx.Rngs(0))
        self.body = body

    def __call__(self, x):
        return self.norm(self.body(self.first(x)))


def shifted(x):
    return x + 1e4


def mean_of_shifted(x):
    """Takes the mean away from shifted numbers, each framework in an order of its own."""
    y = x * 3.0 - 1000.0
    return y - (y.sum(-1) / WIDTH)[..., None]


def positions(x):
    """Adds waves of positions that are scaled until little but their last digits counts."""
    if isinstance(x, torch.Tensor):
        return x + torch.sin(torch.arange(5.0)[:, None] * 0.7 * 1e4 + x)
    return x + jnp.sin(jnp.arange(5.0)[:, None] * 0.7 * 1e4 + x)


BODIES = (shifted, mean_of_shifted, positions)


def checked(body, eps: float = 1e-5) -> parity.Result:
    return parity.check(Flax(body, eps), Torch(body), INPUTS, steps=2, tiers=("float64",))


@pytest.mark.slow
@pytest.mark.parametrize("body", BODIES)
def test_what_cancellation_costs_is_no_difference(body):
    result = checked(body)
    assert result.status == "pass", result


@pytest.mark.slow
def test_control_without_the_noise_of_operations_a_shift_is_called_wrong(monkeypatch):
    for room in (judging, isolate):
        monkeypatch.setattr(room, "near", lambda rows, policy: False)
    assert checked(shifted).status == "fail"


@pytest.mark.slow
@pytest.mark.parametrize("body", BODIES)
def test_control_another_epsilon_is_told_behind_a_shift(body):
    result = checked(body, 1.001e-5)
    assert result.status == "fail" and result.blame is not None and result.blame.layer == "norm"


def test_operations_that_round_are_moved_and_others_are_not():
    x = torch.linspace(1, 2, 50, dtype=torch.float64, requires_grad=True)
    with rounding_otherwise(EveryOperation(0)):
        y = x + 1e4
        copied = torch.cat([x, x]).max()
        added = x.detach().clone()
        added += 1e4
        (x * x).sum().backward()
    assert 0 < float((y - (x + 1e4)).detach().abs().max()) <= 2 * np.spacing(1e4)
    assert torch.equal(copied, x.max())
    assert not torch.equal(added, x + 1e4)
    assert x.grad is not None and 0 < float((x.grad - 2 * x).detach().abs().max()) < 1e-14


NORMS = {
    "layer": lambda x: torch.nn.functional.layer_norm(x, (6,)),
    "group": lambda x: torch.nn.functional.group_norm(x, 2),
    "batch": lambda x: torch.nn.functional.batch_norm(x, None, None, training=True),
}


@pytest.mark.parametrize("norm", NORMS)
def test_the_mean_within_a_norm_rounds_otherwise(norm):
    far = torch.tensor(INPUTS.reshape(20, WIDTH), dtype=torch.float64) + 1e4
    exact = NORMS[norm](far)
    with rounding_otherwise(EveryOperation(0)):
        moved = NORMS[norm](far)
    gap = float((moved - exact).abs().max())
    assert np.spacing(1e4) / 2 < gap < 100 * np.spacing(1e4)  # of the mean's digit, not of the result's


def test_control_near_zero_only_the_last_digit_of_a_norm_moves():
    near = torch.tensor(INPUTS.reshape(20, WIDTH), dtype=torch.float64)
    with rounding_otherwise(EveryOperation(0)):
        moved = NORMS["layer"](near)
    assert 0 < float((moved - NORMS["layer"](near)).abs().max()) < 1e-14


@pytest.mark.parametrize("seed", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_images_far_from_zero_are_as_precise_as_the_order_of_sums_lets_them_be(seed):
    result = check_twin(pairs()["images far from zero"].twin(seed=seed), tiers=("float64", "float32"))
    assert result.status == "pass", result
