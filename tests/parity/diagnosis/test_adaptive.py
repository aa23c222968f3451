"""Adaptive pooling of a size that is no multiple of the number of windows, and ports of it by windows of one size."""

import pytest
import torch
from planting import normal
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis import explain_layer

IMAGES = normal(2, 3, 8, 11)


class Pooled(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x * 2).sin()


@pytest.mark.parametrize(
    ("flax", "words"),
    [
        (lambda x: F.avg_pool2d(x[:, :, :6, :9], (2, 3)), "size // number"),
        (lambda x: F.avg_pool2d(x, (4, 5), (2, 3)), "(number - 1) * stride"),
    ],
)
def test_windows_of_one_size_are_named(flax, words):
    right = Pooled(lambda x: F.adaptive_avg_pool2d(x, 3))
    outputs = Pooled(flax)(torch.as_tensor(IMAGES)).numpy()
    named = explain_layer(right, (IMAGES,), {}, outputs, training=False)
    assert named is not None and named.name == "adaptive-windows" and words in named.text


def test_control_other_windows_have_another_cause():
    right = Pooled(lambda x: F.adaptive_avg_pool2d(x, 3))
    outputs = Pooled(lambda x: F.avg_pool2d(x[:, :, 2:, 2:], (2, 3)))(torch.as_tensor(IMAGES)).numpy()
    named = explain_layer(right, (IMAGES,), {}, outputs, training=False)
    assert named is None or named.name != "adaptive-windows"
