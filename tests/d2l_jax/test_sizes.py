"""Sizes behind convolutions and pools (notes A7): the formula against both frameworks."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest
import torch
from flax import nnx
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from d2l_jax import functional, nn
from d2l_jax.errors import InputError
from parity.reference.sizes import out_size as torch_out_size

PAIR = st.tuples(st.integers(1, 40), st.integers(1, 40))
KERNEL = st.tuples(st.integers(1, 9), st.integers(1, 9))
STRIDE = st.tuples(st.integers(1, 5), st.integers(1, 5))
PADDING = st.tuples(st.integers(0, 4), st.integers(0, 4))
FEW = settings(deadline=None, max_examples=40)


def size_in_jax(layer, n):
    apply, params, buffers = functional(layer)
    out, _ = jax.eval_shape(apply, params, buffers, jax.ShapeDtypeStruct((1, *n, 1), jnp.float32))
    return out.shape[1:3]


def size_in_torch(layer, n):
    return tuple(layer(torch.empty(1, 1, *n, device="meta")).shape[2:])


@FEW
@given(PAIR, KERNEL, STRIDE, PADDING)
@pytest.mark.slow
def test_behind_a_convolution(n, kernel, stride, padding):
    assume(all(k <= m + 2 * p for m, k, p in zip(n, kernel, padding, strict=True)))
    expected = nn.output_size(n, kernel, stride, padding)
    ours = nnx.eval_shape(lambda: nn.Conv2d(1, 1, kernel, stride, padding, rngs=nnx.Rngs(0)))
    assert size_in_jax(ours, n) == expected == nn.map_size([ours], n)
    both_sides = [(p, p) for p in padding]
    lax = partial(jax.lax.conv_general_dilated, window_strides=stride, padding=both_sides)
    assert jax.eval_shape(lax, jnp.ones((1, 1, *n)), jnp.ones((1, 1, *kernel))).shape[2:] == expected
    assert size_in_torch(torch.nn.Conv2d(1, 1, kernel, stride, padding, device="meta"), n) == expected


@FEW
@given(PAIR, st.integers(1, 9), st.integers(1, 5), st.integers(0, 4))
def test_behind_a_pool(n, kernel, stride, padding):
    assume(kernel <= min(n) + 2 * padding and padding <= kernel // 2)
    expected = nn.output_size(n, kernel, stride, padding)
    assert size_in_jax(nn.MaxPool2d(kernel, stride, padding), n) == expected
    assert size_in_torch(torch.nn.MaxPool2d(kernel, stride, padding), n) == expected
    assert size_in_torch(torch.nn.AvgPool2d(kernel, stride, padding), n) == expected
    assert tuple(torch_out_size(m, kernel, stride, padding) for m in n) == expected


@FEW
@given(st.integers(1, 200), st.integers(0, 6), st.integers(1, 8))
def test_special_cases(n, half, stride):
    k = 2 * half + 1
    assert nn.output_size(n, k, 1, half) == n
    assert nn.output_size(n * stride, k, stride, half) == n


def test_control_ceiling_in_place_of_floor_is_another_size():
    assert nn.output_size(8, 3, 2) == 3 == torch.nn.MaxPool2d(3, 2)(torch.empty(1, 1, 8, 8)).shape[2]
    assert torch.nn.MaxPool2d(3, 2, ceil_mode=True)(torch.empty(1, 1, 8, 8)).shape[2] == 4


def test_numbers_and_axes():
    assert nn.output_size(28, 5) == 24
    assert nn.output_size((28, 30), (3, 5), (1, 2), (1, 2)) == (28, 15)
    assert nn.output_size((5, 6, 7), 3) == (3, 4, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 6, 1, 1), "a kernel of 6 does not fit into 3 with a padding of 1 on each side"),
        ((3, 2, 0), "kernel 2, stride 0, padding 0: at least 1, 1 and 0 are right"),
        ((3, 2, 1, -1), "kernel 2, stride 1, padding -1: at least 1, 1 and 0 are right"),
        (((3, 4), (1, 1, 1)), "(3, 4) has 2 axes where another argument has 3"),
    ],
)
def test_what_fits_nowhere_is_refused(arguments, message):
    with pytest.raises(InputError) as error:
        nn.output_size(*arguments)
    assert str(error.value) == message
