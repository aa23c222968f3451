"""Pooling in the forms that a CPU gets, against PyTorch's and plain `lax`: values, gradients, ties and NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2l_jax import nn
from d2l_jax.cpu import plain_lax, windows

pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
sizes = st.tuples(st.integers(4, 12), st.integers(4, 12))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(sizes, pairs, pairs, st.booleans(), st.booleans())
@pytest.mark.slow
def test_the_largest_is_pytorchs_ties_included(size, window, stride, padded, tied):
    padding = tuple(k // 2 if padded else 0 for k in window)
    ours = nn.MaxPool2d(window, stride, padding)
    theirs = torch.nn.MaxPool2d(window, stride, padding)
    check(ours, theirs, images(size, tied))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(sizes, pairs)
@pytest.mark.slow
def test_adaptive_means_are_pytorchs(size, output_size):
    check(nn.AdaptiveAvgPool2d(output_size), torch.nn.AdaptiveAvgPool2d(output_size), images(size, False))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(sizes, pairs)
@pytest.mark.slow
def test_the_mean_of_tiles_is_pytorchs(size, window):
    check(nn.AvgPool2d(window), torch.nn.AvgPool2d(window), images(size, False))


def images(size, tied):
    random = np.random.default_rng(0)
    return random.integers(0, 3, (2, *size, 3)).astype(float) if tied else random.normal(size=(2, *size, 3))


def check(ours, theirs, x, spoil=0.0):
    pooled, vjp = jax.vjp(jax.jit(ours), jnp.asarray(x))
    g = np.random.default_rng(1).normal(size=pooled.shape)
    tx = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    expected = theirs(tx)
    expected.backward(torch.tensor(g.transpose(0, 3, 1, 2)))
    (grad,) = vjp(jnp.asarray(g + spoil))
    np.testing.assert_allclose(pooled, expected.detach().numpy().transpose(0, 2, 3, 1), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(grad, tx.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", ["MaxPool2d", "AvgPool2d"])
def test_control_another_gradient_is_noticed(name):
    with pytest.raises(AssertionError):
        check(getattr(nn, name)(2), getattr(torch.nn, name)(2), images((6, 4), False), spoil=1e-6)


def test_control_another_tie_rule_is_noticed(monkeypatch):
    monkeypatch.setattr(windows, "_wins", lambda second, first: (second >= first) | jnp.isnan(second))
    with pytest.raises(AssertionError):
        check(nn.MaxPool2d(2), torch.nn.MaxPool2d(2), images((6, 4), True))


def test_nan_is_the_largest_of_all():
    x = images((6, 4), False)
    x[0, 1, 1, 0] = x[1, 0, 0, 2] = np.nan
    assert jnp.isnan(nn.MaxPool2d(2)(jnp.asarray(x))).sum() == 2


@pytest.mark.parametrize("pool", [nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2)], ids=["max", "mean"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_switch_gives_the_plain_form_and_the_same_numbers(pool, dtype):
    x = jnp.asarray(images((7, 9), False), dtype)
    other = jax.make_jaxpr(pool)(x)
    with plain_lax():
        plain = jax.make_jaxpr(lambda x: pool(x))(x)
        expected, back = jax.vjp(lambda x: pool(x), x)
    pooled, vjp = jax.vjp(pool, x)
    assert "custom_vjp" in str(other) and "custom_vjp" not in str(plain)
    assert pooled.dtype == dtype
    np.testing.assert_allclose(pooled.astype(float), expected.astype(float), rtol=float(jnp.finfo(dtype).eps) * 2)
    ones = jnp.ones_like(pooled)
    ours, theirs = (np.asarray(f(ones)[0], float) for f in (vjp, back))
    np.testing.assert_allclose(ours, theirs, rtol=float(jnp.finfo(dtype).eps) * 2)
