"""Embeddings with a row for padding, which stays zero and learns nothing: Flax may mask outside of the layer."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from jax import lax

import parity

IDS = np.array([[0, 3, 1, 4], [0, 0, 2, 3], [5, 1, 4, 4]], np.int32)


class TorchScores(torch.nn.Module):
    """Scores of items, which the last layer sends a gradient to wherever they stand."""

    def __init__(self, padding=0.0):
        super().__init__()
        self.items = torch.nn.Embedding(6, 3, padding_idx=0)
        self.last = torch.nn.Linear(3, 3)
        with torch.no_grad():
            self.items.weight[0] = padding

    def forward(self, ids):
        return (self.last(self.items(ids)) * self.items(ids.flip(1))).sum(-1)


class Scores(nnx.Module):
    def __init__(self, masked=True):
        self.masked = masked
        self.table = nnx.Embed(6, 3, rngs=nnx.Rngs(0))
        self.dense = nnx.Linear(3, 3, rngs=nnx.Rngs(0))

    def rows(self, ids):
        return self.table(ids) * (ids > 0)[..., None] if self.masked else self.table(ids)

    def __call__(self, ids):
        return (self.dense(self.rows(ids)) * self.rows(jnp.flip(ids, 1))).sum(-1)


def checked(ours, theirs, **options):
    return parity.check(ours, theirs, IDS, steps=1, **options)


def test_a_mask_outside_of_the_layer_does_what_padding_does():
    result = checked(Scores(), TorchScores(), tiers=("float64",))
    result.raise_if_failed()
    assert any("row 0 of items.weight" in note for note in result.notes)


class Stopped(Scores):
    """Looks the row up, as PyTorch does, and sends it no gradient."""

    def rows(self, ids):
        rows = self.table(ids)
        return jnp.where((ids > 0)[..., None], rows, lax.stop_gradient(rows))


@pytest.mark.slow
def test_control_of_a_row_that_both_look_up_nothing_is_said():
    result = checked(Stopped(), TorchScores(), tiers=("float64",))
    result.raise_if_failed()
    assert not any("row 0" in note for note in result.notes)


@pytest.mark.slow
def test_in_float32_too():
    checked(Scores(), TorchScores()).raise_if_failed()


def test_control_padding_that_learns_is_told():
    result = checked(Scores(masked=False), TorchScores(), tiers=("float64",))
    assert result.blame and result.blame.cause == "padding-idx", result.blame


@pytest.mark.slow
def test_control_a_row_for_padding_that_somebody_wrote_is_no_zero():
    result = checked(Scores(), TorchScores(padding=0.5), tiers=("float64",))
    assert result.blame and "9 of 36 values are zero in Flax alone" in str(result.blame), result.blame
