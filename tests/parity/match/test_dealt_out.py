"""Layers that two arrays of Flax's hold are dealt out to them as the numbers say, and single letters tell of names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from parity.match import map_of
from parity.match.fitting import abbreviated
from parity.match.leftovers import name_score
from parity.match.orders import in_other_arrays
from parity.models.cutting import Cutting, Piece
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


class TorchProduct(torch.nn.Module):
    """A triangle's product, of values and their gate on either side."""

    def __init__(self):
        super().__init__()
        self.a_p, self.a_g, self.b_p, self.b_g = (torch.nn.Linear(3, 4) for _ in range(4))
        self.out = torch.nn.Linear(5, 2)

    def forward(self, x):
        a, b = self.a_p(x) * self.a_g(x).sigmoid(), self.b_p(x) * self.b_g(x).sigmoid()
        return self.out(a @ b.T)


class Product(nnx.Module):
    def __init__(self, act=jax.nn.sigmoid):
        self.act = act
        self.projection, self.gate = (nnx.Linear(3, 8, rngs=nnx.Rngs(n)) for n in (0, 1))
        self.out = nnx.Linear(5, 2, rngs=nnx.Rngs(2))

    def __call__(self, x):
        a, b = jnp.split(self.projection(x) * self.act(self.gate(x)), 2, -1)
        return self.out(a @ b.T)


def test_values_in_one_array_and_gates_in_another_are_found():
    found = map_of(NNXModel(Product()), TorchProduct(), (X,), (torch.tensor(X),))
    assert found.agrees
    home = {leaf.key: str(leaf.path[0]) for leaf in found.leaves}
    assert [home[f"{name}.weight"] for name in ("a_p", "b_p", "a_g", "b_g")] == ["projection"] * 2 + ["gate"] * 2


@pytest.mark.slow
def test_control_another_activation_is_not_made_right():
    assert not map_of(NNXModel(Product(jax.nn.tanh)), TorchProduct(), (X,), (torch.tensor(X),)).agrees


def cuts(*arrays: str) -> dict:
    """Returns cuts of kernels and biases, of layers that are a letter each."""
    return {
        ("mix", number, last): Cutting(axis, tuple(Piece(4, f"{owner}.{key}") for owner in owners))
        for number, owners in enumerate(arrays)
        for last, key, axis in (("kernel", "weight", 1), ("bias", "bias", 0))
    }


def test_layers_are_dealt_out_with_their_biases():
    ways = [tuple(str(cutting) for cutting in each.values()) for each in in_other_arrays(cuts("ab", "cd"))]
    assert len({*ways}) == len(ways) == 23
    order = ", one behind the other"
    assert (f"a.weight, c.weight{order}", f"a.bias, c.bias{order}", f"b.weight, d.weight{order}",
            f"b.bias, d.bias{order}") in ways  # fmt: skip


@pytest.mark.parametrize("arrays", [("ab",), ("abc", "def")])
def test_control_one_array_or_many_layers_are_left_as_they_are(arrays):
    assert not list(in_other_arrays(cuts(*arrays)))


@pytest.mark.parametrize(
    "left, right, stands",
    [
        ("linear_k", "key_w", True),
        ("wq", "query", False),
        ("q_proj", "query", True),
        ("linear_k", "query_w", False),
        ("linear_w", "weight", False),
        ("linear_1", "1st", False),
    ],
)
def test_a_letter_stands_for_a_word_that_begins_with_it(left, right, stands):
    assert abbreviated(left, right) is abbreviated(right, left) is stands


@pytest.mark.parametrize("letter, name", [("q", "query_w"), ("k", "key_w"), ("v", "value_w"), ("g", "gating_w")])
def test_a_tensor_goes_to_the_variable_that_its_layer_is_short_for(letter, name):
    names = ("query_w", "key_w", "value_w", "gating_w")
    assert max(names, key=lambda own: name_score(f"row.linear_{letter}.weight", ("row", own))) == name
