"""Softmax, its logarithm and cross-entropies in the form that a CPU gets, against stock ones."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sampled import sampled

from d2l_jax.cpu import cross_entropies, log_softmax, plain_lax, rows, softmax, switch
from d2l_jax.cpu.thresholds import LONG_ROW

LENGTHS = (1, 2, 21, LONG_ROW - 1, LONG_ROW, LONG_ROW + 1)
PAIRS = {"softmax": (softmax, jax.nn.softmax), "log_softmax": (log_softmax, jax.nn.log_softmax)}


def scores(length, dtype=np.float64, offset=0.0):
    return jnp.asarray(np.random.default_rng(length).normal(offset, 3, (3, 2, length)), dtype)


@pytest.mark.parametrize("length", sampled(LENGTHS, 5))
@pytest.mark.parametrize("name", PAIRS)
def test_values_slopes_and_their_slopes_are_jaxs(name, length):
    ours, stock = PAIRS[name]
    x, direction = scores(length), scores(length)[::-1]

    def value_and_slopes(function):
        def slope(x):
            return jax.vjp(function, x)[1](direction)[0]

        return function(x), *jax.jvp(function, (x,), (direction,)), slope(x), jax.jvp(slope, (x,), (direction,))[1]

    for one, other in zip(jax.jit(lambda: value_and_slopes(ours))(), value_and_slopes(stock), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("length", LENGTHS)
def test_cross_entropies_and_their_slopes_are_optaxs(length):
    x, labels = scores(length), np.random.default_rng(0).integers(0, length, (3, 2))

    def both(function):
        return jax.value_and_grad(lambda x: (function(x, labels) ** 2).sum())(x)

    for one, other in zip(
        jax.jit(lambda: both(cross_entropies))(), both(optax.softmax_cross_entropy_with_integer_labels), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("length", (21, LONG_ROW))
@pytest.mark.parametrize("place", (0, 7, 20))
@pytest.mark.parametrize("odd", ([np.nan], [np.inf], [-np.inf], [np.nan, np.inf]), ids=str)
def test_what_is_no_number_stays_where_jax_has_it(odd, place, length):
    """NaN in a row makes all of the row NaN, although the maximum may miss it."""
    x = scores(length).at[1, 1, place - len(odd) + 1 : place + 1].set(jnp.asarray(odd)[: place + 1])
    for ours, stock in PAIRS.values():
        np.testing.assert_allclose(ours(x), stock(x), rtol=1e-12)
    assert jnp.isnan(cross_entropies(x, jnp.ones((3, 2), int)))[1, 1] == jnp.isnan(log_softmax(x)[1, 1, 1])


def test_a_row_of_minus_infinity_and_a_label_outside_are_nan():
    x = jnp.full((2, 3), -jnp.inf)
    assert jnp.isnan(softmax(x)).all() and jnp.isnan(log_softmax(x)).all()
    assert jnp.isnan(cross_entropies(scores(3), jnp.full((3, 2), 3))).all()


@pytest.mark.slow
def test_large_scores_do_not_overflow():
    x = scores(LONG_ROW, np.float32, offset=3e3)
    np.testing.assert_allclose(softmax(x).sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(cross_entropies(x, jnp.zeros((3, 2), int)), -jax.nn.log_softmax(x)[..., 0], rtol=1e-5)


def test_control_without_the_largest_they_do(monkeypatch):
    monkeypatch.setattr(rows, "_by_comparison", lambda x: jnp.zeros_like(x[..., :1]))
    with pytest.raises(AssertionError):
        test_large_scores_do_not_overflow()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_narrow_types_are_summed_in_float32(dtype):
    """8,192 equal weights: in float16 or bfloat16 their sum would stop growing long before."""
    x = jnp.zeros((2, 8192), dtype)
    assert softmax(x).dtype == dtype
    np.testing.assert_allclose(softmax(x).astype(float), 1 / 8192, rtol=1e-2)
    np.testing.assert_allclose(log_softmax(x).astype(float), -np.log(8192), rtol=1e-2)


def test_elsewhere_they_are_stock_functions():
    with plain_lax():
        program = str(jax.make_jaxpr(lambda x: (softmax(x), log_softmax(x)))(jnp.ones((2, 3))))
    assert "reduce_max" in program and "platform_index" not in program
    assert "platform_index" in str(jax.make_jaxpr(lambda x: softmax(x))(jnp.ones((2, 3))))


@pytest.fixture
def traced(monkeypatch):
    """Grows by one whenever a form for CPUs is traced."""
    seen = []
    platform_dependent = switch.lax.platform_dependent

    def counting(*args, **kwargs):
        seen.append(args)
        return platform_dependent(*args, **kwargs)

    monkeypatch.setattr(switch.lax, "platform_dependent", counting)
    return seen


def test_a_call_outside_of_jit_compiles_once_for_each_shape(traced):
    for _ in range(2):
        traced.clear()
        cross_entropies(scores(7) + 1, jnp.zeros((3, 2), int))
    assert not traced


def test_control_functions_made_anew_compile_each_time(traced):
    for _ in range(2):
        traced.clear()
        switch.kept_on_cpu(lambda x: x + 1, lambda x: x + 1, scores(7))
    assert traced
