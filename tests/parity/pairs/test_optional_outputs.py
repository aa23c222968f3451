"""Outputs that PyTorch's model may leave out, and Flax's does: caches of keys and values."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.errors import InputError

X = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
SHORT = {"steps": 1, "tiers": ("float64",), "layers": False}


@dataclass
class Output:
    logits: torch.Tensor | None = None
    cache: tuple | None = None


@dataclass
class Whole:
    logits: torch.Tensor
    cache: tuple


class Ours(nnx.Module):
    def __init__(self, rngs):
        self.head = nnx.Linear(5, 4, rngs=rngs)

    def __call__(self, x):
        return {"logits": self.head(x), "cache": None}


class Theirs(torch.nn.Module):
    def __init__(self, output: Any = Output):
        super().__init__()
        self.head = torch.nn.Linear(5, 4)
        self.output = output

    def forward(self, x):
        return self.output(logits=self.head(x), cache=((x, x * 2),))


def test_optional_outputs_of_pytorch_alone_are_left_out_with_a_note():
    result = parity.check(Ours(nnx.Rngs(0)), Theirs(), X, **SHORT)
    assert result.status == "pass" and any("cache: optional outputs" in note for note in result.notes)


@dataclass
class Features:
    cache: torch.Tensor | None = None
    logits: torch.Tensor | None = None


def test_control_a_single_array_is_what_the_model_computes():
    theirs = Theirs(lambda logits, cache: Features(logits, logits.tanh()))
    with pytest.raises(InputError, match="outputs differ"):
        parity.check(Ours(nnx.Rngs(0)), theirs, X, **SHORT)


@pytest.mark.parametrize("output", [Whole, dict])
def test_control_outputs_that_are_not_optional_are_missing(output):
    with pytest.raises(InputError, match="outputs differ"):
        parity.check(Ours(nnx.Rngs(0)), Theirs(output), X, **SHORT)
