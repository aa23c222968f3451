"""Functions and slopes that differ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch


def slope(function, x: float = 0.0) -> float:
    point = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    function(point).backward()
    assert point.grad is not None
    return point.grad.item()


def test_gelu():
    x = np.linspace(-4, 4, 801)
    ours = np.asarray(jax.nn.gelu(jnp.asarray(x)))
    theirs = torch.nn.functional.gelu(torch.tensor(x)).numpy()
    assert 4e-4 < abs(ours - theirs).max() < 5e-4
    assert np.allclose(jax.nn.gelu(jnp.asarray(x), approximate=False), theirs, atol=1e-12)


def test_slopes_at_zero():
    ours = [jnp.abs, lambda x: jnp.maximum(x, 0.0), lambda x: jax.nn.leaky_relu(x, 0.2)]
    theirs = [torch.abs, torch.relu, lambda x: torch.nn.functional.leaky_relu(x, 0.2)]
    assert [float(jax.grad(function)(0.0)) for function in ours] == [1, 0.5, 1]
    assert [slope(function) for function in theirs] == pytest.approx([0, 0, 0.2])


def test_gradient_of_the_norm_at_zero():
    zeros = torch.zeros(3, requires_grad=True)
    zeros.norm().backward()
    assert np.isnan(jax.grad(jnp.linalg.norm)(jnp.zeros(3))).all()
    assert zeros.grad is not None and not zeros.grad.any()


def test_slopes_at_the_bound_of_a_clip():
    bounds = torch.tensor(0.0), torch.tensor(6.0)
    assert float(jax.grad(lambda x: jnp.clip(x, 0, 6))(0.0)) == 0.5
    assert slope(lambda x: x.clamp(0, 6)) == 0
    assert slope(lambda x: x.clamp(*bounds)) == 0.5


def test_hardsigmoid_in_float64():
    theirs = slope(torch.nn.functional.hardsigmoid, 0.5)
    assert float(jax.grad(jax.nn.hard_sigmoid)(jnp.asarray(0.5, jnp.float64))) == pytest.approx(1 / 6, abs=1e-15)
    assert 1e-9 < abs(theirs - 1 / 6) < 1e-7


def test_median():
    numbers = [1.0, 2.0, 4.0, 8.0]
    assert (float(jnp.median(jnp.asarray(numbers))), torch.tensor(numbers).median().item()) == (3, 2)
