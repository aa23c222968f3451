"""The forms that a CPU gets, against PyTorch's and plain `lax`: values and both gradients, in both precisions."""

from contextlib import nullcontext
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

import d2l_jax.cpu.compile
from d2l_jax import nn
from d2l_jax.cpu import conv, conv_general_dilated, dense, direct, dot_general, plain_lax, winograd
from d2l_jax.cpu.compile import cpu_options, jit
from d2l_jax.cpu.geometry import Geometry
from d2l_jax.cpu.materialised import materialised

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


@forms
def test_every_form_is_taken_and_right(form, monkeypatch):
    taken, right = [], getattr(*form)
    monkeypatch.setattr(*form, lambda *args: taken.append(form) or right(*args))
    check(*FORMS[form])
    assert taken


@forms
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
def test_winograd_equals_lax_whatever_the_shape(kernel, extra, channels, padding, images):
    size = tuple(k + e for k, e in zip(kernel, extra))
    geometry = Geometry((1, 1), padding)
    inputs, outputs = (c + 1 for c in channels)
    random = np.random.default_rng(0)
    x, w = random.normal(size=(images, *size, inputs)), random.normal(size=(*kernel, inputs, outputs))
    g = random.normal(size=(images, *geometry.out_size(x.shape, w.shape), outputs))

    @jax.jit
    def ours(x, w, g):
        gradients = winograd.input_gradient(g, w, x.shape, geometry), winograd.kernel_gradient(x, g, w.shape, geometry)
        return winograd.convolution(x, w, geometry), *gradients

    plain = partial(lax.conv_general_dilated, window_strides=(1, 1), padding=padding, dimension_numbers=LAYOUT)
    jax.tree.map(close, ours(x, w, g), jax.jit(partial(value_and_gradients, plain))(x, w, g))


@pytest.mark.parametrize("outputs, taps", [(m, r) for r in range(2, 6) for m in range(2, 8 - r)])
def test_a_scheme_multiplies_polynomials_exactly(outputs, taps):
    random, scheme = np.random.default_rng(0), winograd.Scheme.of(outputs, taps)
    images, kernel = random.normal(size=outputs + taps - 1), random.normal(size=taps)
    ours = scheme.of_result @ ((scheme.of_kernel @ kernel) * (scheme.of_images @ images))
    np.testing.assert_allclose(ours, np.correlate(images, kernel), rtol=0, atol=1e-13)


def test_few_pixels_few_channels_and_few_digits_are_convolved_directly():
    geometry, images, kernel = Geometry((1, 1), ((1, 1), (1, 1))), (8, 24, 24, 64), (3, 3, 64, 64)
    assert winograd.suits(images, kernel, geometry, jnp.float32)
    assert not winograd.suits((1, 9, 9, 64), kernel, geometry, jnp.float32)
    assert not winograd.suits((8, 24, 24, 16), (3, 3, 16, 16), geometry, jnp.float32)
    assert not winograd.suits(images, kernel, geometry, jnp.bfloat16)
    assert not winograd.suits(images, kernel, geometry._replace(strides=(2, 2)), jnp.float32)
    assert not winograd.suits(images, (1, 3, 64, 64), geometry, jnp.float32)
    assert not winograd.suits(images, (6, 3, 64, 64), geometry, jnp.float32)
    assert not winograd.suits((64, 1, 24, 64), kernel, geometry, jnp.float32)


@pytest.mark.parametrize(
    "function, left, right",
    [
        (partial(conv_general_dilated, window_strides=(1, 1), padding=[(1, 1)] * 2), (2, 5, 4, 9), (3, 2, 9, 3)),
        (partial(conv_general_dilated, window_strides=(1, 1), padding=[(1, 1)] * 2), (5, 13, 11, 24), (3, 2, 24, 20)),
        (partial(dot_general, dimension_numbers=(((1,), (0,)), ((), ()))), (5, 4), (4, 3)),
    ],
)
def test_forward_mode_and_second_derivatives(function, left, right):
    """What a `jax.custom_vjp` would forbid."""
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
    g = random.normal(size=jax.eval_shape(function, x, w).shape)
    ours, dx, dw = jax.jit(partial(value_and_gradients, function))(x, w, g)
    tx = torch.tensor(np.asarray(x).transpose(0, 3, 1, 2), requires_grad=True)
    tw = torch.tensor(np.asarray(w).transpose(3, 2, 0, 1), requires_grad=True)
    theirs = torch.nn.functional.conv2d(tx, tw, stride=stride, padding=padding, groups=groups)
    theirs.backward(torch.tensor(g.transpose(0, 3, 1, 2)))
    for a, b in [(ours, theirs.detach()), (dx, tx.grad)]:
        close(a, b.numpy().transpose(0, 2, 3, 1))
    close(dw, tw.grad.numpy().transpose(2, 3, 1, 0))


def value_and_gradients(function, x, w, g):
    y, vjp = jax.vjp(function, x, w)
    return y, *vjp(g)


def close(a, b, ulps=1e4):
    np.testing.assert_allclose(a, b, rtol=0, atol=ulps * float(np.finfo(a.dtype).eps))


@forms
def test_in_float32_it_is_as_precise_as_lax(form):
    size, kernel, stride, padding, groups, channels, out, images = (*FORMS[form], 2)[:8]
    random = np.random.default_rng(0)
    x, w = random.normal(size=(images, *size, channels)), random.normal(size=(*kernel, channels // groups, out))
    options = dict(window_strides=stride, padding=[(p, p) for p in padding], dimension_numbers=LAYOUT)
    function = partial(conv_general_dilated, feature_group_count=groups, **options)
    g = random.normal(size=jax.eval_shape(function, x, w).shape)

    def results(dtype):
        return jax.jit(partial(value_and_gradients, function))(*(jnp.asarray(a, dtype) for a in (x, w, g)))

    with plain_lax():
        exact, plain = results(np.float64), results(np.float32)
    for ours, lax_, right in zip(results(np.float32), plain, exact, strict=True):
        assert ours.dtype == np.float32
        assert jnp.max(jnp.abs(ours - right)) <= 4 * jnp.max(jnp.abs(lax_ - right)) + 1e-6


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("kernel, channels", [((3, 3), 24), ((1, 1), 6), ((3, 3), 2)])
def test_with_few_digits_it_is_as_precise_as_lax(dtype, kernel, channels):
    random = np.random.default_rng(0)
    x, w = random.normal(size=(5, 13, 11, channels)), random.normal(size=(*kernel, channels, 20))
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
    x, w = jnp.ones((2, 5, 7, 3)), jnp.ones((3, 3, 3, 4))
    for order in (LAYOUT, lax.conv_dimension_numbers(x.shape, w.shape, LAYOUT)):
        options = dict(window_strides=(1, 1), padding=[(1, 1)] * 2, dimension_numbers=order)
        assert "platform_index" in str(jax.make_jaxpr(partial(conv_general_dilated, **options))(x, w))


def test_a_convolution_along_one_axis_is_left_to_lax():
    x, w = jnp.ones((2, 9, 4)), jnp.ones((3, 4, 6))
    options = dict(window_strides=(1,), padding=[(1, 1)], dimension_numbers=("NHC", "HIO", "NHC"))
    np.testing.assert_array_equal(conv_general_dilated(x, w, **options), lax.conv_general_dilated(x, w, **options))


def test_other_options_are_left_to_lax():
    x, w = jnp.ones((4, 9, 7, 4), jnp.float32), jnp.ones((3, 3, 4, 6), jnp.float32)
    options = dict(padding=[(1, 1)] * 2, dimension_numbers=LAYOUT, preferred_element_type=jnp.float64)
    plain, ours = (convolve(x, w, (1, 1), **options) for convolve in (lax.conv_general_dilated, conv_general_dilated))
    np.testing.assert_array_equal(ours, plain)
    assert ours.dtype == np.float64


def test_on_a_mesh_it_is_plain_lax():
    x, w = jnp.ones((2, 5, 7, 9)), jnp.ones((3, 3, 9, 4))
    function = partial(conv_general_dilated, window_strides=(1, 1), padding=[(1, 1)] * 2, dimension_numbers=LAYOUT)
    with jax.set_mesh(jax.make_mesh((1,), ("batch",))):
        assert "platform_index" not in str(jax.make_jaxpr(function)(x, w))
    assert "platform_index" in str(jax.make_jaxpr(lambda *args: function(*args))(x, w))


def test_an_empty_batch():
    layers = nn.Conv2d(9, 4, 3, padding=1, rngs=nnx.Rngs(0)), nn.Linear(4 * 5 * 7, 3, rngs=nnx.Rngs(0))

    def loss(layers, x):
        return jnp.sum(layers[1](nn.flatten(layers[0](x))))

    gradients = nnx.grad(loss)(layers, jnp.ones((0, 5, 7, 9)))
    assert all(not grad.any() for grad in jax.tree.leaves(gradients))


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


@pytest.mark.parametrize(
    "left, right, numbers",
    [
        ((2, 3, 4), (2, 4, 5), (((2,), (1,)), ((0,), (0,)))),
        ((2, 4), (4, 3, 5), (((1,), (0,)), ((), ()))),
        ((2, 4), (4,), (((1,), (0,)), ((), ()))),
    ],
)
def test_other_products_are_left_to_lax(left, right, numbers):
    x, w = jnp.ones(left), jnp.ones(right)
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
