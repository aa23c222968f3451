"""What stands around a model, captured layers, matrices, boxes, segments, and differs."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torchvision
from flax import nnx


class Tower(nnx.Module):
    def __init__(self, layers):
        self.layers = layers


def linear():
    return nnx.Linear(2, 2, rngs=nnx.Rngs(0))


def test_capturing_what_a_dict_of_layers_sows():
    tower = Tower(nnx.Dict(first=linear(), second=linear()))
    listed = Tower(nnx.List([linear(), linear()]))
    assert nnx.capture(lambda tower: list(tower.layers.keys()))(tower)[2:] == ["__captures__"]
    assert nnx.capture(lambda tower: len(list(tower.layers)))(listed) == 2


def test_a_matrix_that_is_not_positive():
    matrix = np.array([[1.0, 2.0], [2.0, 1.0]])
    assert jnp.isnan(jnp.linalg.cholesky(jnp.asarray(matrix))).any()
    with pytest.raises(torch.linalg.LinAlgError):
        torch.linalg.cholesky(torch.tensor(matrix))


def test_the_largest_of_no_number():
    assert jax.ops.segment_max(jnp.ones(2), jnp.array([0, 0]), 2).tolist() == [1, -np.inf]
    rows = torch.zeros(2).scatter_reduce(0, torch.tensor([0, 0]), torch.ones(2), "amax", include_self=False)
    assert rows.tolist() == [1, 0]


def ties_by_index(count):
    random = torch.Generator().manual_seed(0)
    corners = torch.rand(count, 2, generator=random) * 100
    scores = torch.randint(0, 5, (count,), generator=random) / 4  # many are equal
    classes = torch.randint(0, 3, (count,), generator=random)
    kept = torchvision.ops.batched_nms(torch.cat([corners, corners + 20], 1), scores, classes, 0.5).tolist()
    return all(i < j for i, j in pairwise(kept) if scores[i] == scores[j])


def test_boxes_of_equal_scores():
    assert ties_by_index(1000) and not ties_by_index(1001)
