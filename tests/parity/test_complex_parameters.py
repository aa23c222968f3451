"""Parameters of complex numbers: a check of their real parts alone would pass what is wrong."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.errors import InputError

X = np.random.default_rng(0).normal(size=(3, 8, 2)).astype(np.float32)
RANDOM = np.random.default_rng(1).normal(size=(2, 5, 2)).astype(np.float32)


class Spectral(nnx.Module):
    """Products with the lowest waves, conjugated or not; `parts`: real numbers, two for each complex one."""

    def __init__(self, parts: bool, conjugated: bool = False):
        self.parts, self.conjugated = parts, conjugated
        both = RANDOM if parts else RANDOM[..., 0] + 1j * RANDOM[..., 1]
        self.weight = nnx.Param(jnp.asarray(both))

    def __call__(self, x):
        w = self.weight[...]
        w = w[..., 0] + 1j * w[..., 1] if self.parts else w
        w = w.conj() if self.conjugated else w
        return jnp.fft.irfft(jnp.fft.rfft(x, axis=1) * w.T[None], x.shape[1], axis=1)


class TorchSpectral(torch.nn.Module):
    def __init__(self, parts: bool):
        super().__init__()
        self.parts = parts
        weight = torch.tensor(RANDOM)
        self.weight = torch.nn.Parameter(weight if parts else torch.view_as_complex(weight))

    def forward(self, x):
        w = torch.view_as_complex(self.weight) if self.parts else self.weight
        return torch.fft.irfft(torch.fft.rfft(x, dim=1) * w.T[None], n=x.shape[1], dim=1)


def test_complex_parameters_are_refused():
    with pytest.raises(InputError, match="weight: parameters of complex numbers cannot be compared; real ones"):
        parity.check(Spectral(False), TorchSpectral(False), X)


@pytest.mark.parametrize("conjugated, status", [(False, "pass"), (True, "fail")])
def test_both_parts_as_real_parameters_are_compared(conjugated, status):
    ours = Spectral(True, conjugated)
    assert parity.check(ours, TorchSpectral(True), X, steps=1, tiers=("float64",)).status == status
