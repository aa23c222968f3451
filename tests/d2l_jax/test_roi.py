"""RoI pooling and RoI align as torchvision computes them, with their gradients: at borders, empty and reversed."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torchvision.ops
from hypothesis import given, settings
from hypothesis import strategies as st

from d2l_jax import algorithms

GOLDEN = json.loads((Path(__file__).parent / "facts" / "golden.json").read_text())
SIDES = st.integers(-24, 80).map(lambda n: n / 8)  # of maps of 5x7: beyond every border, and halves
REGIONS = st.lists(st.tuples(st.integers(0, 1), SIDES, SIDES, SIDES, SIDES), min_size=4, max_size=4)


def maps(ties: bool) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(2, 5, 7, 3))
    return np.rint(values) if ties else values


@cache
def ours(name: str, *options) -> Callable:
    """Returns the jitted (features, regions, direction) -> (result, gradient of its product with the direction)."""

    def both(X, rois, direction):
        value, pull = jax.vjp(lambda X: getattr(algorithms, name)(X, rois, (2, 3), *options), X)
        return value, pull(direction)[0]

    return jax.jit(both)


def compare(features: np.ndarray, rois: np.ndarray, name: str, *options) -> None:
    """Compares results and gradients with torchvision's, whose channels come first."""
    X = torch.tensor(features).permute(0, 3, 1, 2).contiguous().requires_grad_()
    result = getattr(torchvision.ops, name)(X, torch.tensor(rois), (2, 3), *options).permute(0, 2, 3, 1)
    direction = np.random.default_rng(1).normal(size=result.shape)
    (result * torch.tensor(direction)).sum().backward()
    value, gradient = ours(name, *options)(features, rois, direction)
    np.testing.assert_allclose(value, result.detach().numpy(), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(gradient, X.grad.permute(0, 2, 3, 1).numpy(), rtol=1e-11, atol=1e-12)


def test_the_books_example():
    X = jnp.arange(16.0, dtype=jnp.float32).reshape(1, 4, 4, 1)
    rois = jnp.array([[0, 0, 0, 20, 20], [0, 0, 10, 30, 30]], jnp.float32)
    pooled = algorithms.roi_pool(X, rois, (2, 2), 0.1)
    assert pooled.transpose(0, 3, 1, 2).tolist() == GOLDEN["roi_pool (14.8 example)"]


@settings(max_examples=40, deadline=None)
@given(REGIONS, st.booleans(), st.sampled_from([1.0, 0.5]))
def test_pooling_is_torchvisions(regions, ties, scale):
    """Compares where values are equal, too, of which the first gets the gradient."""
    compare(maps(ties), np.array(regions, np.float64), "roi_pool", scale)


def test_cells_are_cut_as_in_float32():
    """Compares regions of all sizes with 7 cells: quotients whose product is a hair off a whole number."""
    X = np.random.default_rng(0).normal(size=(1, 30, 4, 1)).astype(np.float32)
    rois = np.array([[0, 0, 0, 3, length] for length in range(30)], np.float32)
    ours = algorithms.roi_pool(jnp.asarray(X), jnp.asarray(rois), (7, 3))
    theirs = torchvision.ops.roi_pool(torch.tensor(X).permute(0, 3, 1, 2), torch.tensor(rois), (7, 3))
    np.testing.assert_array_equal(ours, theirs.permute(0, 2, 3, 1).numpy())


@settings(max_examples=40, deadline=None)
@given(REGIONS, st.sampled_from([-1, 2]), st.booleans())
def test_aligning_is_torchvisions(regions, sampling_ratio, aligned):
    rois = np.array(regions, np.float64)
    if aligned and sampling_ratio < 0:  # a reversed region is refused there
        rois[:, 3:] = np.maximum(rois[:, 1:3], rois[:, 3:])
    compare(maps(False), rois, "roi_align", 0.5, sampling_ratio, aligned)


def test_a_region_reversed_along_one_axis_is_zero_where_torchvision_fails():
    X = maps(False)
    rois = np.array([[0, 4.0, 1, 1, 3]])
    with pytest.raises((ValueError, RuntimeError), match="std::vector"):
        torchvision.ops.roi_align(torch.tensor(X).permute(0, 3, 1, 2), torch.tensor(rois), (2, 3), aligned=True)
    assert not np.asarray(ours("roi_align", 1.0, -1, True)(X, rois, np.ones((1, 2, 3, 3)))[0]).any()


def test_control_halves_to_even_would_be_seen():
    X = jnp.arange(35.0).reshape(1, 5, 7, 1)
    rois = jnp.array([[0, 2.5, 0, 2.5, 0], [0, 3, 0, 3, 0]])
    one, other = algorithms.roi_pool(X, rois, (1, 1)).ravel().tolist()
    assert one == other == 3
