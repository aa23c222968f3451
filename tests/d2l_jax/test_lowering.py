"""Convolutions in faster forms: values, gradients, derivatives and digits, beside lax and PyTorch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from lowered import LAYOUT, close, value_and_gradients
from sampled import sampled

from d2l_jax.cpu import conv, conv_general_dilated, dense, direct, dot_general, plain_lax, winograd
from d2l_jax.cpu.band import suits_band
from d2l_jax.cpu.geometry import Geometry

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
@pytest.mark.slow
def test_value_and_gradients_equal_those_of_pytorch(kernel, stride, padding, extra, groups, channels, images):
    padding = tuple(min(padding, k - 1) for k in kernel)
    check(tuple(k + e for k, e in zip(kernel, extra)), kernel, stride, padding, groups, channels, images=images)


FORMS = {  # size, kernel, stride, padding, groups, channels, outputs, images
    (conv, "banded"): ((9, 11), (3, 4), (2, 1), (1, 2), 1, 6, 5),
    (conv, "matmul"): ((7, 5), (1, 1), (2, 1), (0, 0), 1, 6, 4),
    (conv, "depthwise"): ((7, 5), (3, 2), (1, 2), (1, 0), 6, 6, 6),
    (conv, "convolve"): ((13, 11), (3, 3), (2, 1), (1, 1), 1, 9, 4),
    (dense, "_across"): ((7, 5), (1, 1), (1, 1), (0, 0), 1, 4, 6),
    (direct, "convolution"): ((13, 11), (2, 3), (1, 2), (0, 1), 1, 9, 4),
    (direct, "_input_gradient_by_columns"): ((5, 4), (3, 2), (2, 1), (1, 0), 1, 9, 40),
    (direct, "_input_gradient_by_phases"): ((13, 11), (2, 3), (1, 2), (0, 1), 1, 9, 4),
    (direct, "kernel_gradient"): ((13, 11), (2, 3), (1, 2), (0, 1), 1, 9, 4, 5),
    (winograd, "convolution"): ((13, 11), (3, 2), (1, 1), (1, 0), 1, 24, 20, 5),
    (winograd, "input_gradient"): ((13, 11), (3, 3), (1, 1), (1, 1), 1, 24, 20, 5),
    (winograd, "kernel_gradient"): ((13, 11), (5, 3), (1, 1), (2, 1), 1, 20, 24, 5),
    (winograd, "_of_many"): ((7, 6), (3, 3), (1, 1), (1, 1), 1, 24, 20, 17),
}
forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form[1])
some_forms = pytest.mark.parametrize("form", sampled((form,) for form in FORMS), ids=lambda form: form[1])


@forms
def test_every_form_is_taken_and_right(form, monkeypatch):
    calls = []
    right = getattr(*form)
    monkeypatch.setattr(*form, lambda *args: calls.append(form) or right(*args))
    check(*FORMS[form])
    assert calls


@some_forms
def test_control_a_wrong_form_is_noticed(form, monkeypatch):
    right = getattr(*form)
    monkeypatch.setattr(*form, lambda *args: jax.tree.map(lambda y: y * (1 + 1e-9), right(*args)))
    with pytest.raises(AssertionError):
        check(*FORMS[form])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.tuples(st.integers(2, 5), st.integers(1, 3)),
    st.tuples(st.integers(0, 6), st.integers(0, 6)),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.tuples(larger, st.just((0, 5))),
    st.sampled_from([2, 17]),
)
@pytest.mark.slow
def test_winograd_equals_lax_whatever_the_shape(kernel, extra, channels, padding, images):
    size = tuple(k + e for k, e in zip(kernel, extra))
    geometry = Geometry((1, 1), padding)
    inputs, outputs = (c + 1 for c in channels)
    random = np.random.default_rng(0)
    x = random.normal(size=(images, *size, inputs))
    w = random.normal(size=(*kernel, inputs, outputs))
    g = random.normal(size=(images, *geometry.out_size(x.shape, w.shape), outputs))

    @jax.jit
    def ours(x, w, g):
        gradients = winograd.input_gradient(g, w, x.shape, geometry), winograd.kernel_gradient(x, g, w.shape, geometry)
        return winograd.convolution(x, w, geometry), *gradients

    plain = partial(lax.conv_general_dilated, window_strides=(1, 1), padding=padding, dimension_numbers=LAYOUT)
    jax.tree.map(close, ours(x, w, g), jax.jit(partial(value_and_gradients, plain))(x, w, g))


@pytest.mark.parametrize("outputs, taps", [(m, r) for r in range(2, 6) for m in range(2, 8 - r)])
def test_a_scheme_multiplies_polynomials_exactly(outputs, taps):
    random = np.random.default_rng(0)
    scheme = winograd.Scheme.of(outputs, taps)
    images = random.normal(size=outputs + taps - 1)
    kernel = random.normal(size=taps)
    ours = scheme.of_result @ ((scheme.of_kernel @ kernel) * (scheme.of_images @ images))
    np.testing.assert_allclose(ours, np.correlate(images, kernel), rtol=0, atol=1e-13)


def test_few_pixels_few_channels_and_few_digits_are_convolved_directly():
    geometry = Geometry((1, 1), ((1, 1), (1, 1)))
    images = (8, 24, 24, 64)
    kernel = (3, 3, 64, 64)
    assert winograd.suits(images, kernel, geometry, jnp.float32)
    assert not winograd.suits((1, 9, 9, 64), kernel, geometry, jnp.float32)
    assert not winograd.suits((8, 24, 24, 16), (3, 3, 16, 16), geometry, jnp.float32)
    assert not winograd.suits(images, kernel, geometry, jnp.bfloat16)
    assert not winograd.suits(images, kernel, geometry._replace(strides=(2, 2)), jnp.float32)
    assert not winograd.suits(images, (1, 3, 64, 64), geometry, jnp.float32)
    assert not winograd.suits(images, (6, 3, 64, 64), geometry, jnp.float32)
    assert not winograd.suits((64, 1, 24, 64), kernel, geometry, jnp.float32)
    thin = (3, 3, 16, 32)
    assert winograd.suits((2, 128, 128, 16), thin, geometry, jnp.float32)
    assert not winograd.suits((8, 128, 128, 16), thin, geometry, jnp.float32)
    assert winograd.suits((8, 128, 128, 64), kernel, geometry, jnp.float32)


def test_a_band_suits_few_channels_whose_patches_a_cache_holds():
    assert suits_band((1, 256, 256, 3), (3, 3, 3, 16)) and suits_band((8, 256, 256, 1), (3, 3, 1, 16))
    assert not suits_band((8, 256, 256, 3), (3, 3, 3, 16)) and not suits_band((1, 9, 9, 8), (3, 3, 8, 16))


@pytest.mark.parametrize(
    "function, left, right",
    [
        (partial(conv_general_dilated, window_strides=(1, 1), padding=[(1, 1)] * 2), (2, 5, 4, 9), (3, 2, 9, 3)),
        (partial(conv_general_dilated, window_strides=(1, 1), padding=[(1, 1)] * 2), (5, 13, 11, 24), (3, 2, 24, 20)),
        (partial(dot_general, dimension_numbers=(((1,), (0,)), ((), ()))), (5, 4), (4, 3)),
    ],
)
def test_forward_mode_and_second_derivatives(function, left, right):
    """The forms differentiate forwards and twice, which a `jax.custom_vjp` would forbid."""
    if len(left) == 4:
        function = partial(function, dimension_numbers=LAYOUT)
    random = np.random.default_rng(0)
    x, w, dx, dw = (jnp.asarray(random.normal(size=shape)) for shape in (left, right) * 2)

    def results(x, w):
        def loss(x, w):
            return jnp.sum(jnp.sin(function(x, w)))

        def losses(w):
            return jnp.sum(jax.vmap(loss, (0, None))(jnp.stack([x, dx]), w))

        forward = jax.jvp(function, (x, w), (dx, dw))
        hessian = jax.jvp(jax.grad(loss, (0, 1)), (x, w), (dx, dw))
        each = jax.vmap(jax.grad(loss, 1), (0, None))(jnp.stack([x, dx]), w)
        return forward, hessian, each, jax.grad(losses)(w)

    with plain_lax():
        plain = jax.jit(lambda *args: results(*args))(x, w)
    jax.tree.map(partial(close, ulps=1e5), jax.jit(results)(x, w), plain)


@pytest.mark.parametrize("channels, groups", [(9, 1), (6, 6)])
@pytest.mark.parametrize("images, kernel", sampled([(2, (3, 4)), (5, (1, 2)), (5, (3, 4)), (2, (1, 2))], 4))
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
    g = random.normal(size=jax.eval_shape(function, x, w).shape)
    ours, dx, dw = jax.jit(partial(value_and_gradients, function))(x, w, g)
    tx = torch.tensor(np.asarray(x).transpose(0, 3, 1, 2), requires_grad=True)
    tw = torch.tensor(np.asarray(w).transpose(3, 2, 0, 1), requires_grad=True)
    theirs = torch.nn.functional.conv2d(tx, tw, stride=stride, padding=padding, groups=groups)
    theirs.backward(torch.tensor(g.transpose(0, 3, 1, 2)))
    for a, b in [(ours, theirs.detach()), (dx, tx.grad)]:
        close(a, b.numpy().transpose(0, 2, 3, 1))
    close(dw, tw.grad.numpy().transpose(2, 3, 1, 0))


@some_forms
def test_in_float32_it_is_as_precise_as_lax(form):
    size, kernel, stride, padding, groups, channels, out, images = (*FORMS[form], 2)[:8]
    random = np.random.default_rng(0)
    x = random.normal(size=(images, *size, channels))
    w = random.normal(size=(*kernel, channels // groups, out))
    options = dict(window_strides=stride, padding=[(p, p) for p in padding], dimension_numbers=LAYOUT)
    function = partial(conv_general_dilated, feature_group_count=groups, **options)
    g = random.normal(size=jax.eval_shape(function, x, w).shape)

    def results(dtype):
        return jax.jit(partial(value_and_gradients, function))(*(jnp.asarray(a, dtype) for a in (x, w, g)))

    with plain_lax():
        exact = results(np.float64)
        plain = results(np.float32)
    for ours, lax_, right in zip(results(np.float32), plain, exact, strict=True):
        assert ours.dtype == np.float32
        assert jnp.max(jnp.abs(ours - right)) <= 4 * jnp.max(jnp.abs(lax_ - right)) + 1e-6


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("kernel, channels", sampled([((3, 3), 24), ((1, 1), 6), ((3, 3), 2)], 3))
def test_with_few_digits_it_is_as_precise_as_lax(dtype, kernel, channels):
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 13, 11, channels))
    w = random.normal(size=(*kernel, channels, 20))
    padding = [(k // 2, k // 2) for k in kernel]
    function = partial(conv_general_dilated, window_strides=(1, 1), padding=padding, dimension_numbers=LAYOUT)
    g = random.normal(size=(5, 13, 11, 20))

    def results():
        return jax.jit(lambda *args: value_and_gradients(function, *args))(*(jnp.asarray(a, dtype) for a in (x, w, g)))

    with plain_lax():
        plain = results()
    for ours, right in zip(results(), plain, strict=True):
        assert ours.dtype == dtype
        error = jnp.max(jnp.abs(ours.astype(float) - right.astype(float)))
        assert error <= 8 * float(jnp.finfo(dtype).eps) * jnp.max(jnp.abs(right))
