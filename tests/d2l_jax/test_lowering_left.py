"""Convolutions that are left to lax: other orders of axes, paddings, options and devices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from lowered import LAYOUT

from d2l_jax import nn
from d2l_jax.cpu import conv, conv_general_dilated, plain_lax


def test_the_switch_gives_plain_lax():
    x = jnp.ones((2, 5, 7, 3))
    w = jnp.ones((3, 3, 3, 4))
    function = partial(conv_general_dilated, window_strides=(1, 1), padding=[(1, 1)] * 2, dimension_numbers=LAYOUT)
    other = str(jax.make_jaxpr(function)(x, w))
    with plain_lax():
        plain = str(jax.make_jaxpr(lambda *args: function(*args))(x, w))
    assert "platform_index" in other and "platform_index" not in plain
    assert plain.count("conv_general_dilated") == 1


@pytest.mark.parametrize("padding, dilation", [("SAME", 1), ([(1, 1), (1, 1)], 2)])
def test_named_padding_and_dilation_are_left_to_lax(padding, dilation):
    x = jnp.ones((2, 9, 7, 4))
    w = jnp.ones((3, 3, 4, 6))
    options = dict(rhs_dilation=(dilation, dilation), dimension_numbers=LAYOUT, padding=padding)
    plain = lax.conv_general_dilated(x, w, (1, 1), **options)
    np.testing.assert_array_equal(conv_general_dilated(x, w, (1, 1), **options), plain)


ORDERS = [None, ("NCHW", "OIHW", "NCHW"), ("NHWC", "OIHW", "NHWC"), ("NHWC", "HWIO", "NCHW"), ("HWNC", "HWIO", "NHWC")]


@pytest.mark.parametrize("numbers", ORDERS)
@pytest.mark.parametrize("named", [True, False], ids=["names", "numbers"])
def test_another_order_of_axes_is_left_to_lax(numbers, named):
    """All axes are equally long, so that no shape tells one order from another."""
    plain, ours = convolved_cubes(numbers, named)
    np.testing.assert_array_equal(ours, plain)


@pytest.mark.parametrize("numbers", ORDERS)
def test_control_an_order_that_is_dropped_is_noticed(numbers, monkeypatch):
    monkeypatch.setattr(conv, "_channels_last", lambda *_: True)
    plain, ours = convolved_cubes(numbers, named=True)
    assert ours.shape == plain.shape and np.abs(ours - plain).max() > 1


def convolved_cubes(numbers, named):
    """The convolution by plain `lax` and ours, of images and a kernel of four equal axes."""
    random = np.random.default_rng(0)
    x, w = (jnp.asarray(random.normal(size=(5, 5, 5, 5))) for _ in range(2))
    order = numbers if named else lax.conv_dimension_numbers(x.shape, w.shape, numbers)
    options = dict(window_strides=(1, 1), padding=[(2, 2)] * 2, dimension_numbers=order)
    return [
        jax.jit(partial(function, **options))(x, w) for function in (lax.conv_general_dilated, conv_general_dilated)
    ]


def test_the_order_of_nnx_conv_is_known_by_names_and_by_numbers():
    x = jnp.ones((2, 5, 7, 3))
    w = jnp.ones((3, 3, 3, 4))
    for order in (LAYOUT, lax.conv_dimension_numbers(x.shape, w.shape, LAYOUT)):
        options = dict(window_strides=(1, 1), padding=[(1, 1)] * 2, dimension_numbers=order)
        assert "platform_index" in str(jax.make_jaxpr(partial(conv_general_dilated, **options))(x, w))


def test_a_convolution_of_volumes_is_left_to_lax():
    x = jnp.ones((2, 9, 7, 5, 4))
    w = jnp.ones((3, 2, 1, 4, 6))
    options = dict(window_strides=(1, 2, 1), padding=[(1, 1)] * 3, dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))
    np.testing.assert_array_equal(conv_general_dilated(x, w, **options), lax.conv_general_dilated(x, w, **options))


def test_other_options_are_left_to_lax():
    x = jnp.ones((4, 9, 7, 4), jnp.float32)
    w = jnp.ones((3, 3, 4, 6), jnp.float32)
    options = dict(padding=[(1, 1)] * 2, dimension_numbers=LAYOUT, preferred_element_type=jnp.float64)
    plain, ours = (convolve(x, w, (1, 1), **options) for convolve in (lax.conv_general_dilated, conv_general_dilated))
    np.testing.assert_array_equal(ours, plain)
    assert ours.dtype == np.float64


def test_on_a_mesh_it_is_plain_lax():
    x = jnp.ones((2, 5, 7, 9))
    w = jnp.ones((3, 3, 9, 4))
    function = partial(conv_general_dilated, window_strides=(1, 1), padding=[(1, 1)] * 2, dimension_numbers=LAYOUT)
    with jax.set_mesh(jax.make_mesh((1,), ("batch",))):
        assert "platform_index" not in str(jax.make_jaxpr(function)(x, w))
    assert "platform_index" in str(jax.make_jaxpr(lambda *args: function(*args))(x, w))


def test_an_empty_batch():
    layers = nn.Conv2d(9, 4, 3, padding=1, rngs=nnx.Rngs(0)), nn.Linear(4 * 5 * 7, 3, rngs=nnx.Rngs(0))

    def loss(layers, x):
        return jnp.sum(layers[1](nn.flatten(layers[0](x))))

    gradients = nnx.grad(loss)(layers, jnp.ones((0, 5, 7, 9), jnp.float32))
    assert all(not grad.any() for grad in jax.tree.leaves(gradients))
