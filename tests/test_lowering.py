"""The forms that a CPU gets, against PyTorch's and plain `lax`: values and both gradients, in both precisions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

import d2l_jax.compile
from d2l_jax import nn
from d2l_jax.compile import cpu_options, jit
from d2l_jax.nn.lowering import conv, conv_general_dilated, dot_general, plain_lax, spatial
from d2l_jax.nn.lowering.materialised import materialised

LAYOUT = ("NHWC", "HWIO", "NHWC")
kernels = st.tuples(st.integers(1, 4), st.integers(1, 4))
strides = st.tuples(st.integers(1, 3), st.integers(1, 3))
larger = st.tuples(st.integers(0, 6), st.integers(0, 6))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    kernels,
    strides,
    st.integers(0, 3),
    larger,
    st.sampled_from([1, 2, 6]),
    st.sampled_from([6, 12]),
    st.sampled_from([1, 5]),
)
def test_value_and_gradients_equal_those_of_pytorch(kernel, stride, padding, extra, groups, channels, images):
    padding = tuple(min(padding, k - 1) for k in kernel)
    check(tuple(k + e for k, e in zip(kernel, extra)), kernel, stride, padding, groups, channels, images=images)


FORMS = {  # size, kernel, stride, padding, groups, channels, outputs, images
    "banded": ((9, 11), (3, 4), (2, 1), (1, 2), 1, 6, 5),
    "matmul": ((7, 5), (1, 1), (2, 1), (0, 0), 1, 6, 4),
    "depthwise": ((7, 5), (3, 2), (1, 2), (1, 0), 6, 6, 6),
    "convolve": ((13, 11), (3, 3), (2, 1), (1, 1), 1, 9, 4),
    "_input_gradient_by_columns": ((5, 4), (3, 2), (2, 1), (1, 0), 1, 9, 40),
    "_input_gradient": ((13, 11), (2, 3), (1, 2), (0, 1), 1, 9, 4),
    "_kernel_gradient": ((13, 11), (2, 3), (1, 2), (0, 1), 1, 9, 4, 5),
    "_kernel_gradient_by_rows": ((13, 11), (3, 4), (3, 2), (1, 2), 1, 9, 4, 3),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_taken_and_right(form, monkeypatch):
    taken, room = [], conv if hasattr(conv, form) else spatial
    right = getattr(room, form)
    monkeypatch.setattr(room, form, lambda *args: taken.append(form) or right(*args))
    check(*FORMS[form])
    assert taken


@pytest.mark.parametrize("form", FORMS)
def test_control_a_wrong_form_is_noticed(form, monkeypatch):
    room = conv if hasattr(conv, form) else spatial
    right = getattr(room, form)
    monkeypatch.setattr(room, form, lambda *args: right(*args) * (1 + 1e-9))
    with pytest.raises(AssertionError):
        check(*FORMS[form])


@pytest.mark.parametrize("channels, groups", [(9, 1), (6, 6)])
@pytest.mark.parametrize("images", [2, 5])
@pytest.mark.parametrize("kernel", [(3, 4), (1, 2)])
def test_uneven_padding_and_vmap(channels, groups, images, kernel):
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(3, images, 9, 8, channels)))
    w = jnp.asarray(random.normal(size=(*kernel, channels // groups, 6)))
    options = dict(window_strides=(2, 3), padding=[(2, 0), (0, 1)], dimension_numbers=LAYOUT)
    function = partial(conv_general_dilated, feature_group_count=groups, **options)

    def gradients(x, w):
        y, vjp = jax.vjp(function, x, w)
        return vjp(jnp.sin(y))

    with plain_lax():
        plain = [gradients(one, w) for one in x]
    for ours, theirs in zip(
        jax.vmap(gradients, (0, None))(x, w), map(jnp.stack, zip(*plain, strict=True)), strict=True
    ):
        close(ours, theirs)


def check(size, kernel, stride, padding, groups, channels, out=None, images=2):
    random = np.random.default_rng(0)
    out = out or (channels if groups == channels else 2 * groups)
    x = jnp.asarray(random.normal(size=(images, *size, channels)))
    w = jnp.asarray(random.normal(size=(*kernel, channels // groups, out)))
    options = dict(feature_group_count=groups, dimension_numbers=LAYOUT)
    pads = [(p, p) for p in padding]
    function = partial(conv_general_dilated, window_strides=stride, padding=pads, **options)
    ours, vjp = jax.vjp(function, x, w)
    g = random.normal(size=ours.shape)
    tx = torch.tensor(np.asarray(x).transpose(0, 3, 1, 2), requires_grad=True)
    tw = torch.tensor(np.asarray(w).transpose(3, 2, 0, 1), requires_grad=True)
    theirs = torch.nn.functional.conv2d(tx, tw, stride=stride, padding=padding, groups=groups)
    theirs.backward(torch.tensor(g.transpose(0, 3, 1, 2)))
    dx, dw = vjp(jnp.asarray(g))
    for a, b in [(ours, theirs.detach()), (dx, tx.grad)]:
        close(a, b.numpy().transpose(0, 2, 3, 1))
    close(dw, tw.grad.numpy().transpose(2, 3, 1, 0))


def close(a, b, ulps=1e4):
    np.testing.assert_allclose(a, b, rtol=0, atol=ulps * float(np.finfo(a.dtype).eps))


@pytest.mark.parametrize("form", FORMS)
def test_in_float32_it_is_as_precise_as_lax(form):
    size, kernel, stride, padding, groups, channels, out, images = (*FORMS[form], 2)[:8]
    random = np.random.default_rng(0)
    x, w = random.normal(size=(images, *size, channels)), random.normal(size=(*kernel, channels // groups, out))
    options = dict(window_strides=stride, padding=[(p, p) for p in padding], dimension_numbers=LAYOUT)
    function = partial(conv_general_dilated, feature_group_count=groups, **options)
    g = random.normal(size=jax.eval_shape(function, x, w).shape)

    def results(dtype):
        y, vjp = jax.vjp(function, jnp.asarray(x, dtype), jnp.asarray(w, dtype))
        return y, *vjp(jnp.asarray(g, dtype))

    with plain_lax():
        exact, plain = results(np.float64), results(np.float32)
    for ours, lax_, right in zip(results(np.float32), plain, exact, strict=True):
        assert ours.dtype == np.float32
        assert jnp.max(jnp.abs(ours - right)) <= 4 * jnp.max(jnp.abs(lax_ - right)) + 1e-6


def test_the_switch_gives_plain_lax():
    x, w = jnp.ones((2, 5, 7, 3)), jnp.ones((3, 3, 3, 4))
    function = partial(conv_general_dilated, window_strides=(1, 1), padding=[(1, 1)] * 2, dimension_numbers=LAYOUT)
    other = str(jax.make_jaxpr(function)(x, w))
    with plain_lax():
        plain = str(jax.make_jaxpr(lambda *args: function(*args))(x, w))
    assert "platform_index" in other and "platform_index" not in plain
    assert plain.count("conv_general_dilated") == 1


@pytest.mark.parametrize("padding, dilation", [("SAME", 1), ([(1, 1), (1, 1)], 2)])
def test_named_padding_and_dilation_are_left_to_lax(padding, dilation):
    x, w = jnp.ones((2, 9, 7, 4)), jnp.ones((3, 3, 4, 6))
    options = dict(rhs_dilation=(dilation, dilation), dimension_numbers=LAYOUT, padding=padding)
    plain = lax.conv_general_dilated(x, w, (1, 1), **options)
    np.testing.assert_array_equal(conv_general_dilated(x, w, (1, 1), **options), plain)


@pytest.mark.parametrize("shape", [(5, 4), (3, 5, 4), (2, 3, 5, 4), (4,)])
def test_a_dense_layer_is_the_stock_one(shape):
    ours, stock = nn.Linear(4, 3, rngs=nnx.Rngs(0)), nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    stock.kernel[...], stock.bias[...] = ours.kernel[...], ours.bias[...]
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


def test_other_products_are_left_to_lax():
    x, w = jnp.ones((2, 3, 4)), jnp.ones((2, 4, 5))
    numbers = (((2,), (1,)), ((0,), (0,)))
    np.testing.assert_array_equal(dot_general(x, w, numbers), lax.dot_general(x, w, numbers))


def test_materialised_changes_nothing():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)))
    np.testing.assert_array_equal(materialised(x), x)
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(materialised(x) * 2))(x), np.full((3, 4), 2.0))


def test_a_jitted_step_can_stand_within_another():
    double = jit(lambda x: x * 2)
    assert jax.jit(lambda x: lax.scan(lambda c, _: (double(c), None), x, None, 3)[0])(1.0) == 8
    assert double(1.0) == 2 and double.lower(1.0).compile()(1.0) == 2


def test_options_that_this_xla_does_not_know_are_left_out(monkeypatch):
    monkeypatch.setitem(d2l_jax.compile.CPU_OPTIONS, "xla_cpu_no_such_option", "1")
    cpu_options.cache_clear()
    try:
        assert "xla_cpu_no_such_option" not in (cpu_options() or {})
        assert jit(lambda x: x + 1)(1.0) == 2
    finally:
        cpu_options.cache_clear()
