"""A window that NumPy and PyTorch round otherwise, beneath a logarithm whose gradient feels it more."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.arrays.key import Key
from parity.compare.ties import compare_ties

SIZE = 16
SIGNAL = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)


class Spectrum(nnx.Module):
    def __init__(self, window: np.ndarray, rngs: nnx.Rngs):
        self.window = window.astype(np.float32)
        self.proj = nnx.Linear(SIZE // 2 + 1, 4, rngs=rngs)

    def __call__(self, x):
        x = jnp.pad(x, ((0, 0), (SIZE // 2, SIZE // 2)), mode="reflect")
        places = np.arange(SIZE)[None] + 4 * np.arange(1 + (x.shape[1] - SIZE) // 4)[:, None]
        f = jnp.fft.rfft(x[:, places] * jnp.asarray(self.window, x.dtype)[None, None])
        return self.proj(jnp.log(jnp.maximum(f.real**2 + f.imag**2, 1e-10))).mean(1)


class TorchSpectrum(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(SIZE), persistent=False)
        self.proj = torch.nn.Linear(SIZE // 2 + 1, 4)

    def forward(self, x):
        f = torch.stft(x, SIZE, 4, window=self.window.to(x.dtype), return_complex=True)
        return self.proj(torch.log(f.abs().pow(2).transpose(1, 2).clamp(min=1e-10))).mean(1)


PERIODIC = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SIZE) / SIZE)


@pytest.mark.parametrize(("window", "passes"), [(PERIODIC, True), (np.hanning(SIZE), False)])
def test_a_digit_of_a_window_beneath_a_logarithm(window, passes):
    result = parity.check(
        lambda: Spectrum(window, nnx.Rngs(0)), TorchSpectrum(), SIGNAL, tiers=("float64",), steps=1, layers=False
    )
    assert (result.status == "pass") is passes, result.blame


def test_what_a_constant_moves_it_may_move_at_zero_too():
    key = Key(1, "gradients", "input")
    oracle = {key: np.ones(3)}
    for gap, passes in ((3e-5, True), (3e-4, False)):
        flax = {key: np.ones(3) + gap}
        assert compare_ties(oracle, flax, {key: 1e-4})[0].passed is passes
        assert not compare_ties(oracle, flax)[0].passed
