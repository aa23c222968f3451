"""What PyTorch's model takes of a dense layer's result tells which of its rows are several layers of Flax's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from parity.match import map_of
from parity.match.flax_layers import Variables
from parity.match.fused import fused_layers
from parity.match.taken import PartsTaken, outermost
from parity.match.torch_layers import record
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
WIDTHS = (6, 6, 3, 3, 2)  # of a gate, values, keys, queries, steps


class TorchMixer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.joint, self.out = torch.nn.Linear(4, sum(WIDTHS)), torch.nn.Linear(6, 4)

    def forward(self, x):
        gate, v, k, q, step = self.joint(x).split(WIDTHS, -1)
        scores = torch.einsum("bqd,bkd->bqk", q, k) * step.sigmoid().prod(-1)[:, None]
        return self.out(torch.einsum("bqk,bkd->bqd", scores.softmax(-1), v) * torch.nn.functional.silu(gate))


class Mixer(nnx.Module):
    """Its layers stand, and are called, in another order than their rows in PyTorch's."""

    def __init__(self):
        one = [nnx.Linear(4, width, rngs=nnx.Rngs(0)) for width in WIDTHS]
        self.a, self.b, self.c, self.d, self.e = (one[number] for number in (4, 1, 3, 2, 0))
        self.out = nnx.Linear(6, 4, rngs=nnx.Rngs(0))

    def __call__(self, x):
        step, v, q, k = self.a(x), self.b(x), self.c(x), self.d(x)
        scores = jnp.einsum("bqd,bkd->bqk", q, k) * jax.nn.sigmoid(step).prod(-1)[:, None]
        return self.out(jnp.einsum("bqk,bkd->bqd", jax.nn.softmax(scores), v) * jax.nn.silu(self.e(x)))


def test_five_unequal_parts_are_found_in_whatever_order_they_are_called():
    found = map_of(NNXModel(Mixer()), TorchMixer(), (X,), (torch.tensor(X),))
    assert found.agrees
    rows = {leaf.path[0]: leaf.rows for leaf in found.leaves if leaf.key == "joint.weight"}
    assert rows == {"a": (18, 20), "b": (6, 12), "c": (15, 18), "d": (12, 15), "e": (0, 6)}


class TorchShared(torch.nn.Module):
    """One key and one value for all heads, out of one layer with the queries."""

    def __init__(self, order=(6, 3, 3)):
        super().__init__()
        self.joint, self.out, self.order = torch.nn.Linear(4, 12, bias=False), torch.nn.Linear(6, 4), order

    def forward(self, x):
        *_, k, v = parts = sorted(self.joint(x).split(self.order, -1), key=lambda part: -part.shape[-1])
        scores = torch.einsum("bqhd,bkd->bhqk", parts[0].unflatten(-1, (2, 3)), k)
        return self.out(torch.einsum("bhqk,bkd->bqhd", scores.softmax(-1), v).flatten(-2))


class Shared(nnx.Module):
    """Its key and value are an array of two."""

    def __init__(self):
        self.q = nnx.Einsum("btd,dhk->bthk", (4, 2, 3), rngs=nnx.Rngs(0))
        self.kv = nnx.Einsum("btd,jdk->jbtk", (2, 4, 3), rngs=nnx.Rngs(0))
        self.out = nnx.Linear(6, 4, rngs=nnx.Rngs(0))

    def __call__(self, x):
        k, v = self.kv(x)
        scores = jnp.einsum("bqhd,bkd->bhqk", self.q(x), k)
        return self.out(jnp.einsum("bhqk,bkd->bqhd", jax.nn.softmax(scores), v).reshape(*x.shape[:2], 6))


@pytest.mark.parametrize("order, rows", [((6, 3, 3), (6, 12)), ((3, 3, 6), (0, 6))])
def test_parts_beside_each_other_are_one_array_of_several(order, rows):
    found = map_of(NNXModel(Shared()), TorchShared(order), (X,), (torch.tensor(X),))
    assert found.agrees
    leaf = next(leaf for leaf in found.leaves if leaf.path[0] == "kv")
    assert (leaf.rows, leaf.axes) == (rows, (0, 2, 1))


def test_control_parts_with_another_between_them_are_no_such_array():
    layers = fused_layers(record(TorchShared((3, 6, 3)), (torch.tensor(X),)), Variables(NNXModel(Shared()), (X,)))
    assert "3 to 9" not in [layer.last for layer in layers]


class TorchGates(torch.nn.Module):
    """The one gated layer is as large as a half of the other."""

    def __init__(self):
        super().__init__()
        self.wide, self.narrow = torch.nn.Linear(4, 8), torch.nn.Linear(4, 4)

    def forward(self, x):
        glu = torch.nn.functional.glu
        return glu(self.narrow(glu(self.wide(x))))


class Gates(nnx.Module):
    def __init__(self, *widths):
        self.layers = nnx.List([nnx.Linear(4, width, rngs=nnx.Rngs(0)) for width in widths])


@pytest.mark.parametrize("widths, parts", [((4, 4, 2, 2), ["first", "second"]), ((4, 4, 4), []), ((4, 4, 3, 1), [])])
def test_gates_are_parts_though_flax_has_kernels_as_large_as_both_halves(widths, parts):
    recorded = record(TorchGates(), (torch.tensor(X),))
    layers = fused_layers(recorded, Variables(NNXModel(Gates(*widths)), ()))
    assert [layer.last for layer in layers if layer.name.startswith("narrow.")] == parts


def apart(y):
    return y.split([2, 6, 4], -1)


def within_parts(y):
    first, rest = y[..., :4], y[..., 4:]
    return first, rest.chunk(2, -1)


def of_heads(y):
    return y.view(*y.shape[:-1], 2, 6).split([2, 3, 1], -1)


def gated(y):
    return torch.nn.functional.glu(y)


def gated_elsewhere(y):
    return torch.nn.functional.glu(y, 1)


def copied(y):
    return (2 * y).split([2, 6, 4], -1)


@pytest.mark.parametrize(
    "take, parts, outer",
    [
        (apart, ((0, 2), (2, 8), (8, 12)), 3),
        (within_parts, ((0, 4), (4, 12), (4, 8), (8, 12)), 2),
        (of_heads, ((0, 2, 6), (2, 5, 6), (5, 6, 6)), 3),
        (gated, ((0, 6), (6, 12)), 2),
        (gated_elsewhere, (), 0),
        (copied, (), 0),
    ],
)
def test_the_parts_that_a_model_takes(take, parts, outer):
    dense = torch.nn.Linear(3, 12)
    with torch.no_grad(), PartsTaken(dense) as taken:
        take(dense(torch.ones(2, 4, 3)))
    assert taken.of(dense) == parts
    assert len(outermost(parts, 12)) == outer


def test_control_parts_that_leave_features_out_are_not_all():
    assert outermost([(0, 2), (2, 8)], 12) == [] and outermost([(0, 6), (6, 12, 12)], 12) == []
