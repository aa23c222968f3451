"""Tables that a PyTorch model holds, of which Flax has other numbers: masks, indices."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity

DEGREES = np.arange(5), np.arange(8) % 4
X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def masks(strict):
    inputs, hidden = DEGREES
    second = hidden[:, None] < inputs if strict else hidden[:, None] <= inputs
    return (inputs[:, None] <= hidden).astype(np.float32), second.astype(np.float32)


class Autoregressive(nnx.Module):
    """Each output depends on the inputs before it."""

    def __init__(self, strict=True, squared=False):
        self.first, self.second = nnx.Linear(5, 8, rngs=nnx.Rngs(0)), nnx.Linear(8, 5, rngs=nnx.Rngs(1))
        self.masks, self.squared = nnx.data(masks(strict)), squared

    def __call__(self, x):
        for i, layer in enumerate((self.first, self.second)):
            mask = jnp.asarray(self.masks[i])
            x = jnp.tanh(x @ (layer.kernel[...] * mask) + layer.bias[...][None])
        return jnp.cosh(x + 0.3 * x**2) if self.squared else x


class TorchMasked(torch.nn.Linear):
    mask: torch.Tensor

    def __init__(self, mask):
        super().__init__(*mask.shape)
        self.register_buffer("mask", torch.as_tensor(mask.T.copy()), persistent=False)

    def forward(self, x):
        return torch.tanh(torch.nn.functional.linear(x, self.weight * self.mask, self.bias))


class TorchAutoregressive(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = (TorchMasked(mask) for mask in masks(True))

    def forward(self, x):
        return self.second(self.first(x))


@pytest.mark.slow
@pytest.mark.parametrize("strict, squared, cause", [(False, False, "table"), (True, True, ""), (True, False, None)])
def test_a_mask_of_other_numbers_is_named_and_of_another_mistake_none_is(strict, squared, cause):
    result = parity.check(Autoregressive(strict, squared), TorchAutoregressive(), X, steps=1, tiers=("float64",))
    assert (result.blame and result.blame.cause) == cause, result.blame
    if cause:
        assert result.blame
        assert result.blame.layer == "second" and "of the 40 numbers of PyTorch's second.mask" in result.blame.text
