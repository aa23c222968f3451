"""Noise probes: the least that a precision knows, in arrays and in every layer of a network."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, floating_dtypes
from torch import nn

from parity.bench.precision import ULPS
from parity.sides.disturb import one_ulp
from parity.sides.disturb_layers import disturbed_layers

ULP = 2.0**-52


@given(arrays(floating_dtypes(endianness="=", sizes=(32, 64)), (7,), elements=st.floats(-1000, 1000, width=32)))
def test_every_number_but_zero_moves_to_a_neighbour(array):
    moved = one_ulp(0)(array)
    up = np.nextafter(array, np.inf)
    down = np.nextafter(array, -np.inf)
    assert np.all(np.where(array == 0, moved == 0, (moved == up) | (moved == down)))
    assert one_ulp(-1)(array) is array


def test_an_ulp_of_bfloat16_survives_its_rounding_and_one_of_float32_does_not():
    def rounded(x):
        return x.astype("bfloat16").astype(np.float32)

    x = rounded(np.random.default_rng(0).normal(size=100).astype(np.float32))
    assert np.all(rounded(one_ulp(0, ULPS["bfloat16"])(x)) != x)
    assert np.all(rounded(one_ulp(0, ULPS["highest"])(x)) == x)


def test_a_number_moves_by_so_many_ulps_and_never_through_zero():
    array = np.array([1.0, -1.0, 0.0, 1e-44, -1e-44], np.float32)
    moved = one_ulp(0, 2**13)(array)
    assert {abs(float(x)) for x in moved[:2]} <= {1 + 2.0**-10, 1 - 2.0**-11}
    assert np.array_equal(np.sign(moved), np.sign(array)) and np.array_equal(moved[2:], array[2:])


@pytest.mark.parametrize("ulps", [1, 3])
def test_infinities_stay_as_masks_have_them(ulps):
    array = np.array([1.0, -np.inf, np.inf, 0.0], np.float32)
    moved = one_ulp(0, ulps)(array)
    assert np.array_equal(moved[1:], array[1:]) and moved[0] != 1


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Linear(5, 64), nn.ReLU(inplace=True), nn.Linear(64, 3), nn.MaxPool1d(2)
    return nn.Sequential(*layers).double()


def through(model, x, seed):
    x = x.clone().requires_grad_()
    with disturbed_layers(model, one_ulp(seed)):
        output = model(x)
    (output.sum()).backward()
    return output.detach(), x.grad


def test_outputs_and_gradients_of_layers_with_parameters_move_by_an_ulp():
    model = network()
    x = torch.randn(4, 5, dtype=torch.float64)
    plain, disturbed, repeated = (through(model, x, seed) for seed in (-1, 0, 0))
    for still, moved, same in zip(plain, disturbed, repeated, strict=True):
        relative = torch.abs(moved - still).max() / torch.abs(still).max()
        assert 0 < relative < 100 * ULP and torch.equal(moved, same)
    assert all(torch.equal(a, b) for a, b in zip(plain, through(model, x, -1), strict=True))


def test_layers_without_parameters_and_integers_stay():
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    assert torch.equal(through(nn.MaxPool1d(2), x, 0)[0], nn.MaxPool1d(2)(x))

    class Count(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return {"most": x.argmax(-1), "twice": (2 * x, None)}

    with disturbed_layers(Count(), one_ulp(0)):
        outputs = Count()(x), (model := Count())(x)
    assert torch.equal(outputs[0]["twice"][0], 2 * x)  # another model's layers are left alone
    with disturbed_layers(model, one_ulp(0)):
        outputs = model(x)
    assert torch.equal(outputs["most"], x.argmax(-1)) and outputs["twice"][1] is None
    assert not torch.equal(outputs["twice"][0], 2 * x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_precision_stays(dtype):
    layer = nn.Linear(3, 2).to(dtype)
    x = torch.randn(4, 3).to(dtype)
    with disturbed_layers(layer, one_ulp(0)):
        output = layer(x)
    assert output.dtype == dtype
    assert 0 < (output - layer(x)).abs().max().float() < 16 * torch.finfo(dtype).eps
