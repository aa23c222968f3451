"""Constants of NumPy's in a user's functions: JAX keeps what it makes of them from one precision to another."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from parity.models.exact import exact

QUANTILES = np.array([0.1, 0.5, 0.9])


def weighed(x):
    return jnp.mean(QUANTILES * x)


def test_a_constant_traced_in_float32_is_float64_in_float64():
    with jax.enable_x64(False):
        jax.eval_shape(weighed, np.ones((2, 3), np.float32))  # as a user has before, and the check does
    with exact():
        result = jax.jit(lambda x: weighed(x))(np.ones((2, 3)))
        assert result.dtype == np.float64
        np.testing.assert_allclose(result, 0.5, rtol=1e-15)


def plus(number):
    array = np.full(3, number, np.float32)
    return lambda x: x + array


def test_a_constant_of_another_array_at_the_same_place_is_its_own():
    with exact():
        sums = [float(jax.jit(plus(number))(0.0)[0]) for number in range(9)]
    assert sums == list(range(9))


def test_quotients_of_32_bit_counters_are_float64_in_float64_alone():
    schedule = optax.linear_schedule(2.5e-4, 0.0, 5)
    with exact():
        assert jax.jit(schedule)(jnp.int32(1)).dtype == np.float64
        np.testing.assert_allclose(schedule(jnp.int32(1)), 2e-4, rtol=1e-15)
    with jax.enable_x64(True):
        assert jax.jit(schedule)(jnp.int32(1)).dtype == np.float32
