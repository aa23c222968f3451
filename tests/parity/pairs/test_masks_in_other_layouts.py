"""Masks of dropout where one side has the batch first and the other the time, the heads before or behind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.models.random_numbers import RandomRequest, partners
from parity.models.random_shapes import layouts
from parity.twin.paired_requests import open_layouts

X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
HEADS = 2  # as many as examples


class Attending(nnx.Module):
    def __init__(self, scale=1.0):
        self.drop, self.dropped = nnx.Dropout(0.3, rngs=nnx.Rngs(0)), nnx.Dropout(0.2, rngs=nnx.Rngs(1))
        self.out, self.scale = nnx.Linear(4, 4, rngs=nnx.Rngs(0)), scale

    def __call__(self, x):
        q = x.reshape(*x.shape[:2], HEADS, -1)
        weights = self.drop(jax.nn.softmax(self.scale * jnp.einsum("bqhd,bkhd->bhqk", q, q)))
        return self.dropped(self.out(jnp.einsum("bhqk,bkhd->bqhd", weights, q).reshape(x.shape)))


class TorchAttending(torch.nn.Module):
    """Has the time first, and weights of (keys, queries, examples, heads)."""

    def __init__(self):
        super().__init__()
        self.drop, self.dropped = torch.nn.Dropout(0.3), torch.nn.Dropout(0.2)
        self.out = torch.nn.Linear(4, 4)

    def forward(self, x):
        x = x.transpose(0, 1)
        q = x.unflatten(-1, (HEADS, -1))
        weights = self.drop(torch.einsum("ibhd,jbhd->jibh", q, q).softmax(0))
        y = torch.einsum("jibh,jbhd->ibhd", weights, q).flatten(2)
        return self.dropped(self.out(y)).transpose(0, 1)


def check(ours):
    return parity.check(ours, TorchAttending(), X, steps=1, tiers=("float64",))


@pytest.mark.slow
def test_the_outputs_tell_how_a_mask_lies_where_its_shape_does_not():
    check(Attending()).raise_if_failed()


@pytest.mark.slow
def test_control_a_mistake_beside_the_masks_fails():
    assert check(Attending(scale=0.5)).status == "fail"


def test_axes_of_size_1_and_joined_axes_mean_nothing():
    for ours, theirs in (((10, 18), (10, 1, 18)), ((3, 6, 18), (18, 18)), ((12, 5), (5, 3, 4))):
        x = np.arange(np.prod(ours)).reshape(ours)
        layout = next(layouts(ours, theirs))
        assert layout.to_torch(x).shape == theirs
        np.testing.assert_array_equal(layout.to_flax(layout.to_torch(x)), x)
        assert partners([RandomRequest(ours)], [RandomRequest(theirs)]) == (0,)
    assert not list(layouts((10, 18), (10, 1, 17))) and not list(layouts((4, 9), (6, 6)))


def test_only_where_the_first_axis_is_another_a_layout_is_open():
    def count(ours, theirs, channels=False):
        found = open_layouts([RandomRequest(ours)], [RandomRequest(theirs)], (0,), channels)
        return len(found[0]) if found else 0

    assert count((2, 2, 5, 5), (5, 5, 2, 2)) == 4
    assert count((2, 3, 5, 5), (2, 3, 5, 5)) == count((2, 5, 5, 3), (2, 3, 5, 5)) == count((2, 5, 4), (5, 2, 4)) == 0
    assert count((5, 6, 6), (5, 6, 6), channels=True) == count((5, 6, 6, 6), (5, 6, 6, 6), channels=True) == 2
    assert count((5, 6, 4), (5, 4, 6), channels=True) == count((5, 2, 6, 6), (5, 2, 6, 6), channels=True) == 0
