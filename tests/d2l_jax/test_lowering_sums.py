"""Sums and moments in the form that a CPU gets, against numpy: lengths, precision far from 0, narrow types."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2l_jax.cpu import plain_lax, sums

# A prime, multiples of a line and of none, one value.
lengths = st.sampled_from((1, 2, 3, 6, 7, 12, 24, 25, 29, 36, 48, 53, 54))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(lengths, st.lists(st.integers(1, 3), max_size=2), st.integers(1, 11))
@pytest.mark.slow
def test_sums_are_numpys(length, rows, number):
    terms = [np.random.default_rng(i).normal(size=(*rows, length, 5)) for i in range(number)]
    expected = [x.reshape(-1, 5).sum(0) for x in terms]
    np.testing.assert_allclose(jax.jit(sums.sums)(*map(jnp.asarray, terms)), expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(lengths, st.lists(st.integers(1, 3), max_size=2))
@pytest.mark.slow
def test_moments_are_numpys(length, rows):
    x = np.random.default_rng(0).normal(3, 2, size=(*rows, length, 5))
    check(x, 1e-13)


def check(x, limit):
    rows = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
    mean, var = jax.jit(lambda x: sums.moments(x))(jnp.asarray(x))
    np.testing.assert_allclose(mean, rows.mean(0), rtol=limit, atol=limit)
    np.testing.assert_allclose(var, rows.var(0), rtol=limit, atol=limit)


def far_from_zero():
    return np.random.default_rng(0).normal(1000, 1, size=(4, 48, 48, 5)).astype(np.float32)


def test_moments_far_from_zero_keep_their_precision():
    check(far_from_zero(), 1e-6)


def test_control_squares_less_the_squared_mean_do_not(monkeypatch):
    def careless(x):
        return x.mean((0, 1, 2)), jnp.square(x).mean((0, 1, 2)) - jnp.square(x.mean((0, 1, 2)))

    monkeypatch.setattr(sums, "_joined", careless)
    with pytest.raises(AssertionError):
        check(far_from_zero(), 1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_narrow_types_are_summed_in_float32(dtype):
    """The sum is beyond float16's largest number."""
    x = jnp.full((64, 48, 48, 2), 2, dtype)
    total = sums.sums(x)[0]
    mean = sums.moments(x)[0]
    assert total.dtype == mean.dtype == jnp.float32
    assert total.tolist() == [2.0 * 64 * 48 * 48] * 2 and mean.tolist() == [2.0] * 2


def test_the_switch_turns_the_form_off(monkeypatch):
    def joined(x):
        raise RuntimeError("the form of a CPU")

    monkeypatch.setattr(sums, "_joined", joined)
    with plain_lax():
        sums.moments(jnp.ones((3, 4)))
    with pytest.raises(RuntimeError):
        sums.moments(jnp.ones((3, 4)))


def rounding(form):
    """The relative error of float32 sums of 10,000 rows of numbers near 3, root mean square."""
    x = np.random.default_rng(0).normal(3, 1, size=(100, 100, 64)).astype(np.float32)
    exact = x.astype(np.float64).sum((0, 1))
    return np.sqrt(np.mean((np.asarray(jax.jit(form)(x)) / exact - 1) ** 2))


def test_sums_of_many_rows_round_little():
    assert rounding(sums.over_rows) < 2e-7 and rounding(lambda x: sums.sums(x)[0]) < 2e-7


def test_control_one_row_after_the_other_rounds_more():
    one_by_one = jax.jit(lambda x: jax.lax.scan(lambda s, row: (s + row, None), x[0, 0] * 0, x.reshape(-1, 64))[0])
    assert rounding(one_by_one) > 5e-7
