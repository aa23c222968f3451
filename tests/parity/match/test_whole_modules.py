"""A module with all that is held within it as one layer: spectral norms by hand, a recurrent layer's dropped weight."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from parity.match import load_by_map, map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
SEQUENCE = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)


class Vectors(nnx.Module):
    """The vectors of a spectral norm, in a module of their own; `power` of the norm is a mistake where it is 2."""

    def __init__(self, rows, columns, power):
        self.right, self.left = nnx.BatchStat(jnp.ones(columns)), nnx.BatchStat(jnp.ones(rows))
        self.power = power

    def __call__(self, matrix):
        return (self.left[...] @ matrix @ self.right[...]) ** self.power


class Normed(nnx.Module):
    def __init__(self, power=1):
        self.kernel, self.bias = nnx.Param(jnp.ones((6, 6))), nnx.Param(jnp.ones(6))
        self.norm = Vectors(6, 6, power)

    def __call__(self, x):
        kernel = self.kernel[...]
        return x @ (kernel / self.norm(kernel.T)) + self.bias[...]


class Critic(nnx.Module):
    """Its layers stand in another order than PyTorch's."""

    def __init__(self, power=1):
        self.c, self.b, self.a = (Normed(power) for _ in range(3))

    def __call__(self, x):
        return self.c(jnp.tanh(self.b(jnp.tanh(self.a(x)))) * x)


class TorchCritic(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = (torch.nn.utils.spectral_norm(torch.nn.Linear(6, 6)) for _ in range(3))

    def forward(self, x):
        return self.three(torch.tanh(self.two(torch.tanh(self.one(x)))) * x)


def found(ours, theirs, x):
    return map_of(NNXModel(ours), theirs, (x,), (torch.tensor(x),))


def owners(weight_map):
    return {(leaf.key.split(".")[0], leaf.path[0]) for leaf in weight_map.leaves}


def computes_the_same(ours, theirs, x, weight_map):
    loaded = load_by_map(ours, theirs.state_dict(), weight_map.leaves, jnp.float32)
    return np.allclose(loaded(jnp.asarray(x)), theirs.eval()(torch.tensor(x)).detach(), atol=1e-5)


@pytest.mark.parametrize("power", [1, 2])
def test_vectors_of_equal_sizes_go_where_the_kernel_of_their_layer_goes(power):
    torch.manual_seed(0)  # or single numbers may be larger than the tolerance allows for
    ours, theirs = Critic(power), TorchCritic()
    weight_map = found(ours, theirs, X)
    assert owners(weight_map) == {("one", "a"), ("two", "b"), ("three", "c")}
    assert computes_the_same(ours, theirs, X, weight_map) is (power == 1)


class Recurrence(nnx.Module):
    def __init__(self, gates="ifgo"):
        self.of_x, self.of_h = nnx.Param(jnp.ones((4, 16))), nnx.Param(jnp.ones((4, 16)))
        self.shift, self.gates = nnx.Param(jnp.ones(16)), gates

    def __call__(self, x):
        def step(carry, x):
            c, h = carry
            parts = x @ self.of_x[...] + h @ self.of_h[...] + self.shift[...]
            gate = dict(zip(self.gates, jnp.split(parts, 4, -1), strict=True))
            c = nnx.sigmoid(gate["f"]) * c + nnx.sigmoid(gate["i"]) * jnp.tanh(gate["g"])
            h = nnx.sigmoid(gate["o"]) * jnp.tanh(c)
            return (c, h), h

        zero = jnp.zeros((len(x), 4), x.dtype)
        return jax.lax.scan(step, (zero, zero), x.swapaxes(0, 1))[1].swapaxes(0, 1)


class Stacked(nnx.Module):
    def __init__(self, gates="ifgo"):
        self.upper, self.lower = Recurrence(gates), Recurrence(gates)

    def __call__(self, x):
        return self.upper(self.lower(x))


class Scaled(torch.nn.Module):
    """A dense layer of one's own around a vector of another module's."""

    def __init__(self):
        super().__init__()
        self.scale, self.shift = torch.nn.Parameter(torch.ones(6)), torch.nn.Parameter(torch.ones(6))
        self.inner = torch.nn.Linear(6, 6, bias=False)

    def forward(self, x):
        return self.inner(x * self.scale) + self.shift


class Single(nnx.Module):
    def __init__(self, turned):
        self.a, self.b = nnx.Param(jnp.ones(6)), nnx.Param(jnp.ones(6))
        self.w, self.turned = nnx.Param(jnp.ones((6, 6))), turned

    def __call__(self, x):
        a, b = self.a[...], self.b[...]
        return (x + b if self.turned else x * b) @ self.w[...] + a


class Dropped(torch.nn.Module):
    """Drops some of a recurrent layer's weights, one of which it holds itself; the layer is called, or not."""

    def __init__(self, called):
        super().__init__()
        self.called = called
        self.module: Any = torch.nn.LSTM(4, 4) if called else torch.nn.LSTMCell(4, 4)
        self.name = "weight_hh_l0" if called else "weight_hh"
        raw = getattr(self.module, self.name)
        del self.module._parameters[self.name]
        self.register_parameter(f"{self.name}_raw", torch.nn.Parameter(raw.data))

    def forward(self, x):
        weight = torch.nn.functional.dropout(getattr(self, f"{self.name}_raw"), 0.5, self.training)
        if self.called:
            setattr(self.module, self.name, weight)
            return self.module(x.swapaxes(0, 1))[0].swapaxes(0, 1)
        h = c = x.new_zeros(len(x), 4)
        outputs = []
        for now in x.unbind(1):
            of_x = torch.nn.functional.linear(now, self.module.weight_ih, self.module.bias_ih)
            gates = of_x + torch.nn.functional.linear(h, weight, self.module.bias_hh)
            i, f, g, o = gates.chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, 1)


@pytest.mark.parametrize("called, gates", [(False, "ifgo"), (True, "ifgo"), (False, "ofgi")])
def test_a_recurrent_layer_has_one_of_its_weights_from_the_module_around_it(called, gates):
    ours, theirs = Stacked(gates), torch.nn.Sequential(Dropped(called), Dropped(called))
    weight_map = found(ours, theirs, SEQUENCE)
    assert owners(weight_map) == {("0", "lower"), ("1", "upper")}
    merged = next(leaf for leaf in weight_map.leaves if leaf.path == ("lower", "shift"))
    assert [key.split(".")[-1].removesuffix("_l0") for key in merged.keys] == ["bias_ih", "bias_hh"]
    assert computes_the_same(ours, theirs, SEQUENCE, weight_map) is (gates == "ifgo")


@pytest.mark.parametrize("turned", [False, True])
def test_a_module_of_ones_own_is_one_layer_where_what_it_puts_out_proves_it(turned):
    weight_map = found(Single(turned), Scaled(), X)
    assert weight_map.agrees is not turned
    assert turned or {leaf.key: leaf.path[0] for leaf in weight_map.leaves}["scale"] == "b"
