"""Programs that are compiled in little time compute what any program computes, optimised where it is worth it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from d2l_jax.cpu.compile import known
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


def largest(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """Takes a maximum of what is computed on the way: its gradient compares the same numbers, computed twice."""
    return jnp.max(x * scale + shift, (1, 2)).sum()


def arguments() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=size) for size in ((3, 7, 7, 8), 8, 8)]


def wrong(compiled: Callable, plain: Callable) -> bool:
    pairs = zip(compiled(*arguments()), plain(*arguments()), strict=True)
    return not all(np.allclose(mine, theirs, rtol=1e-12) for mine, theirs in pairs)


def test_the_gradient_of_a_maximum_is_right():
    with jax.enable_x64(True):
        gradient = jax.grad(largest, (1, 2))
        assert options_for(jax.jit(gradient).lower(*arguments())) == {}
        assert not wrong(Quick(gradient), jax.jit(gradient))


def test_control_the_same_gradient_is_wrong_where_nothing_is_optimised():
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(largest, (1, 2)))
        compiled = gradient.lower(*arguments()).compile(compiler_options=known(UNOPTIMISED))
        if not wrong(compiled, gradient):
            pytest.skip("this machine's XLA rounds both alike")


def test_control_integers_may_be_compared():
    lowered = jax.jit(lambda x: x * (jnp.arange(5) == 2)).lower(ROWS)
    assert options_for(lowered) != {}
