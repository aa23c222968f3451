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
@given(kernels, strides, st.integers(0, 3), st.tuples(st.integers(0, 6), st.integers(0, 6)))
def test_value_and_gradients_equal_those_of_pytorch(kernel, stride, padding, extra):
    padding = tuple(min(padding, k - 1) for k in kernel)
    check(tuple(k + e for k, e in zip(kernel, extra)), kernel, stride, padding)


def check(size, kernel, stride, padding, spoil=1.0):
    random = np.random.default_rng(0)
    x, w = random.normal(size=(2, *size, 3)), random.normal(size=(*kernel, 3, 5))
    pads = [(p, p) for p in padding]
    ours, vjp = jax.vjp(lambda x, w: conv_general_dilated(x, w, stride, pads, dimension_numbers=LAYOUT), x, w * spoil)
    g = random.normal(size=ours.shape)
    tx, tw = (torch.tensor(a.transpose(order), requires_grad=True) for a, order in ((x, (0, 3, 1, 2)), (w, (3, 2, 0, 1))))
    theirs = torch.nn.functional.conv2d(tx, tw, stride=stride, padding=padding)
    theirs.backward(torch.tensor(g.transpose(0, 3, 1, 2)))
    dx, dw = vjp(jnp.asarray(g))
    close(ours, theirs.detach().numpy().transpose(0, 2, 3, 1))
    close(dx, tx.grad.numpy().transpose(0, 2, 3, 1))
    close(dw, tw.grad.numpy().transpose(2, 3, 1, 0))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_control_a_wrong_kernel_is_noticed():
    with pytest.raises(AssertionError):
        check((7, 5), (3, 3), (2, 1), (1, 0), spoil=1 + 1e-9)


@pytest.mark.parametrize("groups, dilation", [(2, 1), (1, 2)])
def test_groups_and_dilation_are_left_to_lax(groups, dilation):
    x, w = jnp.ones((2, 9, 7, 4)), jnp.ones((3, 3, 4 // groups, 6))
    options = dict(
        feature_group_count=groups, rhs_dilation=(dilation, dilation), dimension_numbers=LAYOUT, padding="VALID"
    )
    plain = lax.conv_general_dilated(x, w, (1, 1), **options)
    np.testing.assert_array_equal(conv_general_dilated(x, w, (1, 1), **options), plain)
