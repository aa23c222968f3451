"""Parameters of complex numbers: a check of their real parts alone would pass what is wrong."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

import parity
from d2l_jax import optim

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
        waves = torch.zeros(len(x), x.shape[1] // 2 + 1, x.shape[2], dtype=torch.cfloat)  # as papers write it out
        waves[:] = torch.fft.rfft(x, dim=1) * w.T[None]
        return torch.fft.irfft(waves, n=x.shape[1], dim=1)


@pytest.mark.slow
@pytest.mark.parametrize("conjugated, status", [(False, "pass"), (True, "fail")])
def test_both_parts_as_real_parameters_are_compared(conjugated, status):
    ours = Spectral(True, conjugated)
    assert parity.check(ours, TorchSpectral(True), X, steps=1, tiers=("float64",)).status == status


class Wrapped(nnx.Module):
    def __init__(self, conjugated: bool = False):
        self.inner, self.out = Spectral(False, conjugated), nnx.Linear(2, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.out(self.inner(x))


class TorchWrapped(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.out = TorchSpectral(False), torch.nn.Linear(2, 3)

    def forward(self, x):
        return self.out(self.inner(x))


def test_complex_parameters_are_compared_by_both_parts():
    theirs = TorchWrapped()
    result = parity.check(Wrapped(), theirs, X, steps=2, optimizer=partial(optim.Adam, lr=0.01))
    assert result.status == "pass", result.blame
    assert {"inner.weight", "out.weight"} <= {row.name for row in result.rows["float64"] if row.phase == "gradients"}
    assert any("inner.weight" in note and "jnp.conj" in note for note in result.notes)
    assert theirs.inner.weight.is_complex() and type(theirs.inner) is TorchSpectral


@pytest.mark.slow
def test_a_conjugate_of_complex_parameters_fails():
    result = parity.check(Wrapped(conjugated=True), TorchWrapped(), X, steps=1, tiers=("float64",))
    assert result.status == "fail" and result.blame.layer == "inner", result.blame


class LinenSpectral(linen.Module):
    @linen.compact
    def __call__(self, x):
        weight = self.param("weight", lambda key: jnp.asarray(RANDOM[..., 0] + 1j * RANDOM[..., 1]))
        return jnp.fft.irfft(jnp.fft.rfft(x, axis=1) * weight.T[None], x.shape[1], axis=1)


@pytest.mark.slow
def test_those_of_linen_and_as_they_are():
    assert parity.check(LinenSpectral(), TorchSpectral(False), X, steps=1, weights="as they are").status == "pass"
    theirs = TorchSpectral(False)
    theirs.weight.data[1, 2] += 1j
    result = parity.check(LinenSpectral(), theirs, X, steps=1, weights="as they are", tiers=("float64",))
    assert result.status == "fail" and "weight" in result.blame.text
