"""How the arguments and results of two calls belong together where their shapes do not tell."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from flax import nnx

from parity.layers.calls import FlaxCall
from parity.layers.ports import Ports, matched
from parity.layers.results import results_of
from parity.models.calls import TorchCall

H, C, Y = (np.full((3, 8), float(number)) for number in range(3))


def numbers(theirs: Any, ours: Any) -> list[int]:
    """Returns which of Flax's results each of PyTorch's is, by the numbers of their calls."""
    there: Any = SimpleNamespace(output=theirs)
    here: Any = SimpleNamespace(output=ours, module=nnx.Linear)
    return [number for _, number, _ in results_of(there, here, tuple)]


def test_a_cell_may_return_its_states_first_or_last():
    h, c, y = map(torch.tensor, (H, C, Y))
    assert numbers((y, (h, c)), ((H, C), Y)) == [2, 0, 1]
    assert numbers((y, (h, c)), (Y, (H, C))) == numbers(((y, h), c), ((Y, H), C)) == [0, 1, 2]
    assert numbers((y, h, c), ((H, C), Y)) == [0, 1, 2], "nothing but their order is known of single tensors"


def test_axes_in_front_make_no_pair_of_what_could_be_two():
    h, y = torch.ones(1, 3, 8), torch.ones(3, 5, 8)
    assert numbers((y, h), (H, np.ones((3, 5, 8)))) == [1, 0]
    assert numbers((y, (h, h)), ((H, C), np.ones((3, 5, 8)))) == [2]


def test_keys_and_values_that_are_one_tensor_are_not_the_queries():
    names = "inputs_q", "inputs_k", "inputs_v"
    both = [("query", (3, 5, 8)), ("key", (3, 5, 8))]
    assert [number for number, _ in matched([(name, (3, 5, 8)) for name in names], both)] == [0, 1, 1]
    assert [number for number, _ in matched([(name, (3, 5, 8)) for name in names], both[:1])] == [0, 0, 0]


class TorchAttention(torch.nn.Module):
    def forward(self, q, k, v):
        return q + k + v


class Attention(nnx.Module):
    def __call__(self, a, b, c):
        return a + b + c


def test_each_of_as_many_arguments_is_its_own_though_two_be_equal():
    q, v = torch.ones(3, 8), torch.zeros(3, 8)
    shape = np.zeros((3, 8))
    for given, expected in (((q, q, v), [0, 0, 1]), ((q, v, q), [0, 1, 0]), ((q, v, v), [0, 1, 1])):
        theirs = TorchCall("attention", 0, TorchAttention(), given, {}, None, output=q)
        ours = FlaxCall(("attention",), 0, Attention(), (shape,) * 3, {}, output=shape)
        assert [number for number, _ in Ports.of(theirs, ours).inputs] == expected
