"""Weight maps in files, and the arrangements of axes that they hold."""

import dataclasses
import json
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from matching import (
    R,
    S,
    T,
    first,
    values,
)
from matching_nets import EVEN, Net, net_torch

from d2l_jax import nn
from d2l_jax.errors import InputError
from parity.match import load_map, match, save_map
from parity.match.arrangement import arrangement
from parity.models.nnx_model import NNXModel


def test_a_map_is_saved_and_read(tmp_path):
    leaves = match(NNXModel(Net("", R)), net_torch(), (EVEN,), (first(EVEN),))
    leaves[0] = dataclasses.replace(leaves[0], merged=("other",), dtype=jnp.dtype("bfloat16"))
    save_map(leaves, tmp_path / "map.json")
    assert load_map(tmp_path / "map.json") == leaves


def entry(leaf: dict, **changes: Any) -> dict:
    return leaf | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"axes": [0, 0, 1, 2]},
        {"split": [3]},
        {"dtype": "float65"},
        {"key": 3},
        {"rows": [0, 3]},
        {"more": 1},
        {"flip": [9]},
    ],
)
def test_control_a_map_that_contradicts_itself_is_refused(tmp_path, changes):
    leaves = match(NNXModel(nn.Linear(8, 8, rngs=R)), T.Linear(8, 8), (S,), (torch.tensor(S),))
    save_map(leaves, tmp_path / "map.json")
    content = json.loads((tmp_path / "map.json").read_text())
    content["leaves"][0] |= changes
    (tmp_path / "map.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="is no weight map"):
        load_map(tmp_path / "map.json")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": "parity weight map 1", "leaves": [3]}'])
def test_control_a_corrupt_map_is_refused(tmp_path, text):
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(InputError, match="is no weight map"):
        load_map(tmp_path / "map.json")
    with pytest.raises(InputError, match="cannot read"):
        load_map(tmp_path / "none.json")


def test_a_checkpoint_is_no_map_and_the_way_to_compare_it_is_told(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "m.pt")
    with pytest.raises(InputError, match="m.pt is no weight map, which is text; a checkpoint is put into both models"):
        load_map(tmp_path / "m.pt")


def test_arrangements():
    x = values(2, 4, 5, 3)  # PyTorch's
    last = x.transpose(0, 2, 3, 1)
    assert arrangement(last, x).axes == (0, 2, 3, 1)
    assert arrangement(last.reshape(2, 15, 4), x).joined
    assert arrangement(x[:, 0].transpose(1, 0, 2), x[:, 0]).axes == (1, 0, 2)
    order = arrangement(last.reshape(2, -1), x.reshape(2, -1))
    assert (order.split, order.order) == ((15, 4), (1, 0))


def test_arrays_that_differ_tell_no_order_of_features():
    x, other = values(6, 8), np.random.default_rng(1).normal(size=(6, 8))
    assert arrangement(other, x, loose=True).split == ()
    shuffled = x.reshape(6, 2, 4).transpose(0, 2, 1).reshape(6, 8)
    assert arrangement(shuffled + 0.02 * other, x, loose=True).split == (4, 2)  # nearer by far


def test_control_arrangements_that_are_none():
    x = values(2, 4, 5, 3)
    shuffled = np.random.default_rng(0).permutation(x.ravel()).reshape(x.shape)
    assert arrangement(shuffled, x) is None  # the same numbers
    assert arrangement(x + 0.1, x) is None
    assert arrangement(np.where(x > 2, np.nan, x), x) is None
    assert arrangement(x[:1], x) is None
    assert arrangement(np.arange(6), np.arange(6)[::-1].copy()) is None
