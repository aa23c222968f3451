"""Constant masks of floating-point numbers that layers are given: gradients of them mean nothing."""

import numpy as np
import pytest
import torch
from flax import linen

import parity
from parity.models.calls import torch_calls

WORDS = np.random.default_rng(0).normal(size=(3, 5, 8)).astype(np.float32)


class Causal(linen.Module):
    @linen.compact
    def __call__(self, x):
        mask = linen.make_causal_mask(x[..., 0])
        return linen.MultiHeadDotProductAttention(num_heads=2, name="attention")(x, mask=mask)


class TorchCausal(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        self.register_buffer("mask", torch.full((5, 5), -torch.inf).triu(1), persistent=False)

    def forward(self, x):
        return self.attention(x, x, x, attn_mask=self.mask.to(x.dtype), need_weights=False)[0]


@pytest.mark.slow
def test_a_constant_mask_that_is_added_has_no_gradient_to_compare():
    result = parity.check(Causal(), TorchCausal(), WORDS, steps=1, tiers=("float64",))
    result.raise_if_failed()
    keys = [row.key for row in result.rows["float64"] if row.key.phase == "backward"]
    assert [key.tensor for key in keys if key.is_input] == ["input"]


def test_calls_tell_through_which_arguments_a_gradient_flows():
    model = TorchCausal()
    x = torch.tensor(WORDS).requires_grad_()
    with torch_calls(model) as calls:
        model(x)
    assert [call.name for call in calls] == ["", "attention"]
    assert all([tensor.shape for tensor in call.flowing] == [x.shape] * count for call, count in zip(calls, (1, 3)))
