"""A bias and its gradient in the form that a CPU gets, against plain addition: derivatives, vmap, rounding."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx as stock

from d2l_jax import nn
from d2l_jax.cpu import add_bias, bias, plain_lax
from d2l_jax.init import torch_bias, torch_weight


def arrays(*shapes, dtype=np.float64):
    return [jnp.asarray(np.random.default_rng(i).normal(size=shape), dtype) for i, shape in enumerate(shapes)]


def derivatives(y, b):
    def loss(b):
        return jnp.sum(jnp.sin(add_bias(y, b)) ** 2)

    each = jax.vmap(jax.grad(lambda b, y: jnp.sum(jnp.sin(add_bias(y, b))), (0, 1)), (1, None), 1)
    return loss(b), jax.grad(loss)(b), jax.hessian(loss)(b), each(jnp.stack([b, 2 * b], 1), y)


@pytest.mark.parametrize("rows", [(), (1,), (7,), (12, 5), (2, 3, 4, 5), (0, 3)])
def test_values_and_derivatives_equal_those_of_an_addition(rows):
    y, b = arrays((*rows, 3), (3,))
    with plain_lax():
        plain = jax.jit(lambda y, b: derivatives(y, b))(y, b)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12), jax.jit(derivatives)(y, b), plain)


def test_control_a_wrong_gradient_is_noticed(monkeypatch):
    monkeypatch.setattr(bias, "over_rows", lambda x: x[0])
    with pytest.raises(AssertionError):
        test_values_and_derivatives_equal_those_of_an_addition((12,))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_gradients_are_summed_in_float32(dtype):
    """Sums 4,096 ones, of which a sum in the narrow type itself reaches 256 or 2,048."""
    y = jnp.ones((4096, 2), dtype)
    b = jnp.zeros(2, dtype)
    gradient = jax.jit(jax.grad(lambda b: jnp.sum(add_bias(y, b).astype(jnp.float32))))(b)
    assert gradient.dtype == dtype and (gradient == 4096).all()


def test_the_switch_gives_a_plain_addition():
    y, b = arrays((4, 3), (3,))
    with plain_lax():
        assert "broadcast_over_rows" not in str(jax.make_jaxpr(lambda y, b: add_bias(y, b))(y, b))
    assert "broadcast_over_rows" in str(jax.make_jaxpr(add_bias)(y, b))


@pytest.mark.parametrize("has_bias", [True, False])
def test_a_convolution_starts_and_computes_as_the_stock_one(has_bias):
    (x,) = arrays((2, 7, 5, 4), dtype=np.float32)
    theirs = stock.Conv(4, 6, (3, 3), 2, padding=1, feature_group_count=2, use_bias=has_bias,
                        kernel_init=torch_weight, bias_init=torch_bias(18), rngs=stock.Rngs(0))  # fmt: skip
    ours = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=has_bias, rngs=stock.Rngs(0))
    jax.tree.map(np.testing.assert_array_equal, stock.state(ours), stock.state(theirs))
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours(x[0]), ours(x)[0])
