"""Activations that PyTorch's model writes out are told from others, not from rounding."""

import math

import numpy as np
import pytest
import torch
from altered import cause_of
from torch.nn import functional as F

X = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 7)))


def quick(x):
    return x * torch.sigmoid(1.702 * x)


def gelu_new(x):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


def gelu(x):
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


@pytest.mark.parametrize(
    "written, flax, name",
    [
        (quick, F.gelu, "gelu-erf"),
        (gelu_new, F.gelu, "gelu-erf"),
        (gelu, lambda x: F.gelu(x, approximate="tanh"), "gelu-tanh"),
        (gelu, quick, "gelu-sigmoid"),
        (gelu, lambda x: torch.cos(x), None),  # the control
    ],
)
def test_an_activation_that_is_written_out(written, flax, name):
    cause = cause_of(lambda x: written(x) + 1.0, lambda x: flax(x) + 1.0, X)
    assert (cause and cause.name) == name, cause
