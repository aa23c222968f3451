"""Wrong ports whose arrays hold several tensors: they fail under the cut whose slopes are nearest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from d2l_jax.errors import InputError
from parity.match import map_of
from parity.match.flax_layers import Variable
from parity.match.nearest import Sloped, nearest_cuts
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


class Gated(torch.nn.Module):
    """Two gates in one layer beside another gate that is given something else first."""

    def __init__(self):
        super().__init__()
        self.gates, self.forget, self.out = torch.nn.Linear(5, 6), torch.nn.Linear(5, 3), torch.nn.Linear(3, 2)

    def forward(self, x):
        (i, u), f = self.gates(x).chunk(2, -1), self.forget(2 * x)
        return self.out(torch.sigmoid(i) * torch.tanh(u) + torch.relu(f))


class Joint(nnx.Module):
    """The same as one kernel, whose parts stand in another order; the last is not given twice the input."""

    def __init__(self, order):
        rngs = nnx.Rngs(0)
        self.joint, self.out = nnx.Linear(5, 9, rngs=rngs), nnx.Linear(3, 2, rngs=rngs)
        self.order = order

    def __call__(self, x):
        parts = dict(zip(self.order, jnp.split(self.joint(x), 3, -1), strict=True))
        return self.out(jax.nn.sigmoid(parts["i"]) * jnp.tanh(parts["u"]) + jax.nn.relu(parts["f"]))


def found(ours, theirs):
    return map_of(NNXModel(ours), theirs, (X,), (torch.tensor(X),))


@pytest.mark.parametrize(
    ("order", "parts"),
    [
        ("fiu", "forget.weight, gates.weight"),
        ("ufi", "gates.weight[rows 3 to 6], forget.weight, gates.weight[rows 0 to 3]"),
    ],
)
def test_a_wrong_port_is_compared_under_the_nearest_cut(order, parts):
    near = found(Joint(order), Gated())
    assert not near.agrees
    assert {"forget.weight", "gates.weight", "forget.bias", "gates.bias"} == {*near.likeliest}
    assert str(near.flax.cuts["joint", "kernel"]).startswith(f"{parts}, one behind")


def test_control_of_more_numbers_than_slopes_are_asked_about_models_of_other_tensors_are_refused(monkeypatch):
    monkeypatch.setattr("parity.match.weaver.MOST", 50)
    with pytest.raises(InputError, match="the two models do not hold the same tensors"):
        found(Joint("fiu"), Gated())


def test_arrays_that_no_tensors_make_up_are_not_cut():
    variable = Variable(("kernel",), ("kernel",), True, (5, 9), np.float32)
    array, tensor = Sloped(np.ones((3, 5, 9))), Sloped(np.ones((3, 4, 5)), torch.nn.Linear(5, 4))
    assert nearest_cuts({("kernel",): (variable, array)}, {"a.weight": tensor, "b.weight": tensor}) == {}


class Attention(torch.nn.Module):
    """Four layers of one form; what one of them is given tells of none but the last."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (torch.nn.Linear(6, 6) for _ in range(4))

    def forward(self, x):
        weights = torch.softmax(self.q(x) @ self.k(x).T / 6**0.5, -1)
        return self.o(weights @ self.v(x))


class WrongAttention(nnx.Module):
    """The same with a mistake; its layers are called in this order, and their names tell nothing."""

    def __init__(self, order, attend):
        rngs = nnx.Rngs(0)
        self.a, self.b, self.c, self.d = (nnx.Linear(6, 6, rngs=rngs) for _ in range(4))
        self.order, self.attend = order, attend

    def __call__(self, x):
        given = {name: getattr(self, name)(x) for name in self.order}
        return self.d(self.attend(given["a"], given["b"], given["c"]))


MISTAKES = {
    "no scale": lambda q, k, v: jax.nn.softmax(q @ k.T) @ v,
    "another axis": lambda q, k, v: jax.nn.softmax(q @ k.T / 6**0.5, 0) @ v,
    "no softmax": lambda q, k, v: jnp.tanh(q @ k.T / 6**0.5) @ v,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_layers_of_one_form_in_a_wrong_port_are_those_whose_slopes_are_nearest(mistake):
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    ours = WrongAttention("cba", MISTAKES[mistake])
    near = map_of(NNXModel(ours), Attention(), (x,), (torch.tensor(x),))
    assert not near.agrees
    weights = {leaf.key: leaf.path[0] for leaf in near.leaves if leaf.key.endswith("weight")}
    assert weights == {"q.weight": "a", "k.weight": "b", "v.weight": "c", "o.weight": "d"}
