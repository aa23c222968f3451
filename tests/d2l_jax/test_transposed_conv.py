"""Transposed convolution in all its forms, against PyTorch's and the book's numbers (section 14.10)."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from twins import normal

from d2l_jax import nn
from d2l_jax.cpu.switch import plain_lax
from d2l_jax.cpu.transposed import Spread, conv_transpose
from d2l_jax.errors import InputError
from d2l_jax.functional import functional
from d2l_jax.models import bilinear_kernel, corr2d, kernel2matrix, trans_conv, transposed_conv
from parity import reference

FORMS = [  # kernel, stride, padding, output_padding, dilation, groups
    ((3, 3), (1, 1), (0, 0), (0, 0), (1, 1), 1),
    ((5, 5), (3, 3), (2, 2), (0, 0), (1, 1), 1),
    ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1),
    ((3, 4), (2, 3), (1, 2), (1, 0), (1, 2), 3),
    ((2, 3), (3, 4), (0, 1), (2, 3), (1, 1), 2),
    ((1, 1), (2, 1), (0, 0), (1, 0), (1, 1), 6),
    ((3, 2), (1, 2), (2, 0), (0, 1), (2, 3), 1),
    ((2, 2), (1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((3, 3), (2, 2), (3, 2), (1, 1), (2, 2), 2),
    ((2, 2), (5, 4), (0, 1), (3, 2), (1, 1), 1),
]


def on_both_sides(form: tuple, plain: bool) -> list[list[np.ndarray]]:
    """Returns output and gradients of input and weight, of Flax's form and of PyTorch."""
    size, stride, padding, more, dilation, groups = form
    x = normal(2, 5, 4, 6)
    w = normal(*size, 12 // groups, 6)
    spread = Spread(stride, padding, more, dilation, groups)
    with jax.enable_x64(True):
        function = jax.jit(partial(conv_transpose, spread=spread))
        if plain:
            with plain_lax():
                y, back = jax.vjp(function, jnp.asarray(x), jnp.asarray(w))
        else:
            y, back = jax.vjp(function, jnp.asarray(x), jnp.asarray(w))
        g = normal(*y.shape)
        of_x, of_w = back(jnp.asarray(g))
    images, weight = (
        torch.tensor(a.transpose(axes), requires_grad=True) for a, axes in ((x, (0, 3, 1, 2)), (w, (3, 2, 0, 1)))
    )
    theirs = torch.nn.functional.conv_transpose2d(
        images, weight, None, stride, padding, output_padding=more, groups=groups, dilation=dilation
    )
    theirs.backward(torch.tensor(g.transpose(0, 3, 1, 2)))
    last = (0, 2, 3, 1)
    expected = [theirs.detach().numpy().transpose(last), images.grad.numpy().transpose(last)]
    return [[np.asarray(a) for a in (y, of_x, of_w)], [*expected, weight.grad.numpy().transpose(2, 3, 1, 0)]]


@pytest.mark.parametrize(("form", "plain"), [(f, False) for f in FORMS] + [(f, True) for f in FORMS[1:4]], ids=str)
def test_every_form_and_its_gradients_are_pytorchs(form, plain):
    for ours, theirs in zip(*on_both_sides(form, plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_control_a_kernel_that_is_not_turned_differs(monkeypatch):
    ours, theirs = on_both_sides(FORMS[1], False)
    assert np.abs(ours[0][:, ::-1, ::-1] - theirs[0]).max() > 0.1


@pytest.mark.slow
def test_the_layer_restores_the_size_of_a_convolution():
    conv = nn.Conv2d(10, 20, 5, stride=3, padding=2, rngs=nnx.Rngs(0))
    layer = nn.ConvTranspose2d(20, 10, 5, stride=3, padding=2, rngs=nnx.Rngs(1))
    X = jnp.ones((1, 16, 16, 10), jnp.float32)
    assert layer(conv(X)).shape == X.shape
    assert (layer.kernel.size, layer.bias.size) == (5000, 10)


def test_start_and_weights_are_pytorchs():
    layer = transposed_conv(6, 9, (3, 4), groups=3, rngs=nnx.Rngs(0))
    theirs = reference.transposed_conv(6, 9, (3, 4), groups=3)
    bound = (9 // 3 * 12) ** -0.5
    for values in (layer.kernel[...], layer.bias[...], theirs.weight.detach(), theirs.bias.detach()):
        assert 0.7 * bound < abs(np.asarray(values)).max() <= bound
    assert layer.kernel.shape == (3, 4, 3, 6)


@pytest.mark.slow
def test_a_layer_without_bias():
    layer = transposed_conv(2, 4, 3, bias=False, rngs=nnx.Rngs(0))
    assert layer.bias is None and list(functional(layer).params) == ["kernel"]
    assert layer(jnp.ones((1, 2, 3, 2), jnp.float32)).shape == (1, 4, 5, 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"groups": 4}, "4 groups do not divide 6 and 9 channels"),
        ({"stride": 2, "output_padding": 2}, "output_padding 2 is too large"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        transposed_conv(6, 9, 3, **options, rngs=nnx.Rngs(0))


@pytest.mark.slow
def test_the_books_example_by_hand_by_matrix_and_by_the_layer():
    X = jnp.array([[0, 1], [2, 3]], jnp.float32)
    expected = [[0, 0, 1], [0, 4, 6], [4, 12, 9]]
    assert trans_conv(X, X).tolist() == expected
    assert (kernel2matrix(X).T @ X.reshape(-1)).reshape(3, 3).tolist() == expected
    layer = nn.ConvTranspose2d(1, 1, 2, bias=False, rngs=nnx.Rngs(0))
    layer.kernel[...] = X[:, :, None, None]
    assert layer(X[None, :, :, None])[0, :, :, 0].tolist() == expected
    padded = conv_transpose(X[None, :, :, None], X[:, :, None, None], Spread((1, 1), (1, 1), (0, 0), (1, 1)))
    strided = conv_transpose(X[None, :, :, None], X[:, :, None, None], Spread((2, 2), (0, 0), (0, 0), (1, 1)))
    assert padded[0, :, :, 0].tolist() == [[4]]
    assert strided[0, :, :, 0].tolist() == [[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]]


def test_the_matrix_of_a_convolution():
    K = jnp.array([[1, 2], [3, 4]], jnp.float32)
    assert kernel2matrix(K).tolist() == [
        [1, 2, 0, 3, 4, 0, 0, 0, 0],
        [0, 1, 2, 0, 3, 4, 0, 0, 0],
        [0, 0, 0, 1, 2, 0, 3, 4, 0],
        [0, 0, 0, 0, 1, 2, 0, 3, 4],
    ]
    image = jnp.asarray(normal(4, 5), jnp.float32)
    product_with_it = kernel2matrix(K, (4, 5)) @ image.reshape(-1)
    np.testing.assert_allclose(product_with_it.reshape(3, 4), corr2d(image, K), rtol=1e-5)


@pytest.mark.slow
def test_bilinear_kernels():
    row = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_array_equal(bilinear_kernel(1, 1, 4)[0, 0], np.outer(row, row))
    np.testing.assert_array_equal(bilinear_kernel(1, 1, 3)[0, 0], np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]))
    for channels, size in product((2, 3), (4, 5)):
        ours = np.asarray(bilinear_kernel(channels, channels, size))
        np.testing.assert_array_equal(ours, reference.bilinear_kernel(channels, channels, size).numpy())
        assert not ours[0, 1].any()


@pytest.mark.slow
def test_bilinear_start_interpolates():
    """Inside the image, a ramp comes out as a ramp of half the slope."""
    layer = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False, rngs=nnx.Rngs(0))
    layer.kernel[...] = bilinear_kernel(1, 1, 4).transpose(2, 3, 1, 0)
    ramp = jnp.broadcast_to(jnp.arange(6, dtype=jnp.float32)[:, None], (6, 5))
    larger = layer(ramp[None, :, :, None])[0, 1:-1, 1:-1, 0]
    np.testing.assert_allclose(jnp.diff(larger, axis=0), 0.5, atol=1e-6)
