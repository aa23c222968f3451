"""Programs that are compiled in little time compute what any program computes, optimised where it is worth it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from parity.sides.quick import OPTIMISED, UNOPTIMISED, Quick, options_for

ROWS = np.random.default_rng(0).normal(size=(7, 5))


def softened(x: jax.Array) -> jax.Array:
    return jax.nn.softmax(jnp.tanh(x) @ x.T)


def convolved(x: jax.Array) -> jax.Array:
    kernel = jnp.ones((3, 3, x.shape[-1], x.shape[-1]), x.dtype)
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def test_it_computes_the_same_for_each_kind_of_argument():
    quick = Quick(softened)
    for rows in (ROWS, ROWS[:3], ROWS.astype(np.float32)):
        np.testing.assert_allclose(quick(rows), jax.jit(softened)(rows), rtol=1e-6)
    with jax.enable_x64(True):
        np.testing.assert_allclose(quick(ROWS), jax.jit(softened)(ROWS), rtol=1e-14)


@pytest.mark.parametrize(("size", "options"), [(4, UNOPTIMISED), (64, OPTIMISED)])
def test_much_work_in_few_lines_is_optimised(size: int, options: dict):
    images = jax.ShapeDtypeStruct((2, size, size, 8), "float32")
    assert options_for(jax.jit(convolved).lower(images)) == options
