"""The convolution behind `nn.Conv2d` against PyTorch's: the value and both gradients, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from d2l_jax.nn.conv import conv_general_dilated

LAYOUT = ("NHWC", "HWIO", "NHWC")
kernels = st.tuples(st.integers(1, 4), st.integers(1, 4))
strides = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(kernels, strides, st.integers(0, 3), st.tuples(st.integers(0, 6), st.integers(0, 6)), st.sampled_from([1, 2, 6]))
def test_value_and_gradients_equal_those_of_pytorch(kernel, stride, padding, extra, groups):
    padding = tuple(min(padding, k - 1) for k in kernel)
    check(tuple(k + e for k, e in zip(kernel, extra)), kernel, stride, padding, groups)


def check(size, kernel, stride, padding, groups=1, spoil=1.0):
    random = np.random.default_rng(0)
    out = 6 if groups == 6 else 4
    x, w = random.normal(size=(2, *size, 6)), random.normal(size=(*kernel, 6 // groups, out))
    options = dict(feature_group_count=groups, dimension_numbers=LAYOUT)
    pads = [(p, p) for p in padding]
    ours, vjp = jax.vjp(lambda x, w: conv_general_dilated(x, w, stride, pads, **options), x, w * spoil)
    g = random.normal(size=ours.shape)
    tx = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    tw = torch.tensor(w.transpose(3, 2, 0, 1), requires_grad=True)
    theirs = torch.nn.functional.conv2d(tx, tw, stride=stride, padding=padding, groups=groups)
    theirs.backward(torch.tensor(g.transpose(0, 3, 1, 2)))
    dx, dw = vjp(jnp.asarray(g))
    close(ours, theirs.detach().numpy().transpose(0, 2, 3, 1))
    close(dx, tx.grad.numpy().transpose(0, 2, 3, 1))
    close(dw, tw.grad.numpy().transpose(2, 3, 1, 0))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_control_a_wrong_kernel_is_noticed(groups):
    with pytest.raises(AssertionError):
        check((7, 5), (3, 3), (2, 1), (1, 0), groups, spoil=1 + 1e-9)


@pytest.mark.parametrize("padding, dilation", [("SAME", 1), ([(1, 1), (1, 1)], 2)])
def test_named_padding_and_dilation_are_left_to_lax(padding, dilation):
    x, w = jnp.ones((2, 9, 7, 4)), jnp.ones((3, 3, 4, 6))
    options = dict(rhs_dilation=(dilation, dilation), dimension_numbers=LAYOUT, padding=padding)
    plain = lax.conv_general_dilated(x, w, (1, 1), **options)
    np.testing.assert_array_equal(conv_general_dilated(x, w, (1, 1), **options), plain)
