"""Which formats of few bits Flax's program holds: no other is named as the cause of an error like its rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx

import parity
from parity.blame.diagnosis import explain_tensor
from parity.blame.diagnosis.precision import formats_of
from parity.blame.held_formats import FORMATS, _formats

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(6, 5)).astype(np.float32)


class Net(nnx.Module):
    """Its GELU is rounded to bfloat16, or errs as much in another way."""

    def __init__(self, rounds: str):
        self.hidden = nnx.Linear(5, 16, rngs=nnx.Rngs(0))
        self.out = nnx.Linear(16, 3, rngs=nnx.Rngs(1))
        self.rounds = rounds

    def __call__(self, x):
        y = self.hidden(x)
        right = jax.nn.gelu(y, approximate=False)
        if self.rounds == "by a cast":
            return self.out(right.astype(jnp.bfloat16).astype(y.dtype))
        if self.rounds == "by its bits":
            return self.out(jax.lax.reduce_precision(right, exponent_bits=8, mantissa_bits=7))
        return self.out(right * (1 + 3e-3 * jnp.sin(1e3 * y)))


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(5, 16)
        self.out = torch.nn.Linear(16, 3)

    def forward(self, x):
        return self.out(torch.nn.functional.gelu(self.hidden(x)))


@pytest.mark.parametrize("rounds", ["by a cast", "by its bits", ""])
def test_bfloat16_is_named_where_the_program_rounds_to_it(rounds):
    result = parity.check(Net(rounds), TorchNet(), X, steps=1, tiers=("float64",), layers=False)
    assert result.blame is not None and ("bfloat16" in result.blame.cause) is bool(rounds), result.blame


def test_a_format_that_is_not_held_is_asked_for_once_and_is_no_cause():
    oracle = RANDOM.normal(size=(40, 40))
    flax = oracle * (1 + 2e-3 * RANDOM.normal(size=oracle.shape))
    assert explain_tensor(oracle, flax).name == "bfloat16"
    asked = []
    with formats_of("cpu", lambda: asked.append(1) or ("float32",)):
        assert explain_tensor(oracle, flax) is None and explain_tensor(oracle, flax) is None
    assert asked == [1]


def masked(zeros, then=lambda bits: bits):
    """Leaves out so many bits of a fraction, as JAX's own functions split numbers."""

    def split(x):
        bits = jax.lax.bitcast_convert_type(x, jnp.uint64)
        return jax.lax.bitcast_convert_type(then(bits & np.uint64(2**64 - 2**zeros)), jnp.float64)

    return set(_formats(jax.make_jaxpr(split)(jnp.ones(3, jnp.float64)).jaxpr)) & set(FORMATS)


def test_a_number_that_is_split_by_a_mask_holds_what_the_mask_leaves():
    assert masked(27) == set()
    assert masked(52 - 7) == {"bfloat16"} and masked(52 - 23) == {"float32"}
    assert masked(27, lambda bits: bits + np.uint64(1)) == set(FORMATS), "control: bits that are more than masked"


def test_moments_that_an_optimiser_keeps_in_bfloat16_are_held():
    pair = (optax.adam(0.01, mu_dtype=jnp.bfloat16), lambda parameters: torch.optim.Adam(parameters, 0.01))
    options = {"steps": 2, "tiers": ("float64",), "layers": False}
    result = parity.check(Right(), TorchNet(), X, optimizer=pair, **options)
    assert result.blame is not None and result.blame.direction == "optimizer", result.blame


class Right(Net):
    def __init__(self):
        super().__init__(rounds="")

    def __call__(self, x):
        return self.out(jax.nn.gelu(self.hidden(x), approximate=False))
