"""Where all names of two models agree they are the map, also of layers that Flax keeps in a stack or in Linen."""

from dataclasses import replace

import numpy as np
import torch

from d2l_jax.weights.leaf import Leaf
from parity.match.by_names import named_alike, names_agree


class Gated(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.ModuleDict({"gate": dense(), "up": dense()}) for _ in range(2))
        self.out = torch.nn.Linear(5, 3)


def dense() -> torch.nn.Linear:
    return torch.nn.Linear(4, 5, bias=False)


def leaf(key: str, *path: str) -> Leaf:
    shape = {"out.bias": (3,), "out.weight": (3, 5)}.get(key, (5, 4))
    return Leaf(key, path, True, np.float32, shape[::-1], shape[::-1], tuple(range(len(shape)))[::-1], shape)


CROSSED = [
    leaf("layers.0.up.weight", "layers.0", "gate", "kernel"),
    leaf("layers.0.gate.weight", "layers.0", "up", "kernel"),
    leaf("layers.1.gate.weight", "layers.1", "gate", "kernel"),
    leaf("layers.1.up.weight", "layers.1", "up", "kernel"),
    leaf("out.weight", "out", "kernel"),
    leaf("out.bias", "out", "bias"),
]


def test_layers_of_the_same_names_are_not_exchanged():
    found = named_alike(CROSSED, Gated().state_dict())
    assert [leaf.key for leaf in found] == list(Gated().state_dict())
    assert all(leaf.path[-2] == leaf.key.split(".")[-2] for leaf in found)


def test_control_other_names_leave_what_values_have_found():
    others = [replace(CROSSED[0], path=("layers.0", "first", "kernel")), *CROSSED[1:]]
    assert named_alike(others, Gated().state_dict()) == others


def test_a_shared_tensor_is_called_by_one_of_its_names():
    shared = [leaf("up.weight", "up", "kernel"), leaf("head.weight", "up", "kernel")]
    assert names_agree(shared) and not names_agree(shared[1:]) and not names_agree([*shared, CROSSED[0]])
