"""Dense layers, flattening and materialised values; the options of jit."""

from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

import d2l_jax.cpu.compile
from d2l_jax import nn
from d2l_jax.cpu import dot_general, plain_lax
from d2l_jax.cpu.compile import cpu_options, jit
from d2l_jax.cpu.materialised import materialised


@pytest.mark.parametrize("shape", [(5, 4), (3, 5, 4), (2, 3, 5, 4), (4,)])
def test_a_dense_layer_is_the_stock_one(shape):
    ours = nn.Linear(4, 3, rngs=nnx.Rngs(0))
    stock = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    stock.kernel[...] = ours.kernel[...]
    stock.bias[...] = ours.bias[...]
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    (y, grad), (z, other) = (jax.value_and_grad(lambda w, layer=layer: jnp.sum(output(layer, w, x) ** 2))(
        layer.kernel[...]) for layer in (ours, stock))  # fmt: skip
    np.testing.assert_allclose(y, z, rtol=1e-6)
    np.testing.assert_allclose(grad, other, rtol=1e-5, atol=1e-5)
    assert ours(x).shape == stock(x).shape == (*shape[:-1], 3)


def output(layer, kernel, x):
    graph, state = nnx.split(layer)
    state["kernel"] = state["kernel"].replace(kernel)
    return nnx.merge(graph, state)(x)


@pytest.mark.parametrize(
    "left, right, numbers",
    [
        ((2, 3, 4), (2, 4, 5), (((2,), (1,)), ((0,), (0,)))),
        ((2, 4), (4, 3, 5), (((1,), (0,)), ((), ()))),
        ((2, 4), (4,), (((1,), (0,)), ((), ()))),
    ],
)
def test_other_products_are_left_to_lax(left, right, numbers):
    x = jnp.ones(left)
    w = jnp.ones(right)
    np.testing.assert_array_equal(dot_general(x, w, numbers), lax.dot_general(x, w, numbers))


@pytest.mark.parametrize("shape, moves", [((2, 1, 1, 5), False), ((2, 3, 4, 1), False), ((2, 3, 4, 5), True)])
def test_flatten_moves_only_what_has_to_move(shape, moves):
    x = jnp.arange(float(np.prod(shape))).reshape(shape)
    assert ("transpose" in str(jax.make_jaxpr(nn.flatten)(x))) == moves
    np.testing.assert_array_equal(nn.flatten(x), x.transpose(0, 3, 1, 2).reshape(len(x), -1))


def test_materialised_changes_nothing():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)))
    np.testing.assert_array_equal(materialised(x), x)
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(materialised(x) * 2))(x), np.full((3, 4), 2.0))
    np.testing.assert_array_equal(jax.vmap(materialised, 1, 1)(x), x)
    np.testing.assert_allclose(jax.hessian(lambda x: jnp.sum(materialised(jnp.sin(x))))(x[0]), -np.diag(np.sin(x[0])))


@pytest.mark.parametrize("off", [True, False])
def test_nothing_is_fused_with_what_is_materialised(off):
    def curve(x):
        return jnp.sum(jnp.exp(materialised(jnp.sin(x))))

    with plain_lax() if off else nullcontext():
        program = jax.jit(jax.grad(curve)).lower(jnp.ones((3, 4))).compile().as_text()
    assert program.count('inlineable="false"') == (0 if off else 2)  # the value and its gradient


def test_a_jitted_step_can_stand_within_another():
    double = jit(lambda x: x * 2)
    assert jax.jit(lambda x: lax.scan(lambda c, _: (double(c), None), x, None, 3)[0])(1.0) == 8
    assert double(1.0) == 2 and double.lower(1.0).compile()(1.0) == 2


def test_options_that_this_xla_does_not_know_are_left_out(monkeypatch):
    monkeypatch.setitem(d2l_jax.cpu.compile.CPU_OPTIONS, "xla_cpu_no_such_option", "1")
    cpu_options.cache_clear()
    try:
        assert "xla_cpu_no_such_option" not in (cpu_options() or {})
        assert jit(lambda x: x + 1)(1.0) == 2
    finally:
        cpu_options.cache_clear()
