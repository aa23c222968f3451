"""Flax models that keep in one array what PyTorch keeps in several: projections of one input, two gates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen, nnx

import parity
from parity.match import map_of
from parity.models.cutting import Cutting, Piece, cuts_of
from parity.models.linen_model import LinenModel
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)


class Attending(nnx.Module):
    """One dense layer makes queries, keys of half the width, and values; `turned`: of these the last two exchanged."""

    def __init__(self, rngs, turned=False):
        self.turned = turned
        self.qkv = nnx.Linear(8, 16, rngs=rngs)
        self.out = nnx.Linear(4, 8, rngs=rngs)

    def __call__(self, x):
        q, k, v, g = jnp.split(self.qkv(x), 4, -1)
        k, v = (v, k) if self.turned else (k, v)
        scores = jnp.einsum("bqd,bkd->bqk", q, k)
        return self.out(jax.nn.sigmoid(g) * jnp.einsum("bqk,bkd->bqd", jax.nn.softmax(scores), v))


class TorchAttending(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.g = (torch.nn.Linear(8, 4) for _ in range(4))
        self.out = torch.nn.Linear(4, 8)

    def forward(self, x):
        weights = torch.einsum("bqd,bkd->bqk", self.q(x), self.k(x)).softmax(-1)
        return self.out(self.g(x).sigmoid() * torch.einsum("bqk,bkd->bqd", weights, self.v(x)))


class Gated(linen.Module):
    """Two kernels in one array; another dense layer has as many numbers as one of them."""

    @linen.compact
    def __call__(self, x):
        both = self.param("gating", linen.initializers.lecun_normal(), (2, 8, 6))
        down = self.param("down", linen.initializers.lecun_normal(), (6, 8))
        gate, up = jnp.einsum("btd,cdf->cbtf", x, both)
        return linen.gelu(gate) * up @ down


class TorchGated(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.up = (torch.nn.Linear(8, 6, bias=False) for _ in range(2))
        self.down = torch.nn.Linear(6, 8, bias=False)

    def forward(self, x):
        return self.down(torch.nn.functional.gelu(self.gate(x), approximate="tanh") * self.up(x))


class Complex(nnx.Module):
    """Real and imaginary parts in one array, as (parts, outputs, inputs), which two others would fill as well."""

    def __init__(self):
        self.B, self.C = nnx.Param(jnp.zeros((2, 6, 8))), nnx.Param(jnp.zeros((2, 8, 6)))

    def __call__(self, x):
        whole = lambda param: jax.lax.complex(*param[...])  # noqa: E731
        return (jnp.tanh(x @ whole(self.B).T) @ whole(self.C).T).real


class TorchComplex(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name, shape in (("B_re", (6, 8)), ("B_im", (6, 8)), ("C_re", (8, 6)), ("C_im", (8, 6))):
            setattr(self, name, torch.nn.Parameter(torch.zeros(shape)))

    def forward(self, x):
        b, c = torch.complex(self.B_re, self.B_im), torch.complex(self.C_re, self.C_im)
        return (torch.tanh(x.to(b.dtype) @ b.T) @ c.T).real


def checked(ours, theirs, **options):
    return parity.check(ours, theirs, X, steps=2, tiers=("float64",), **options)


@pytest.mark.slow
def test_one_dense_layer_for_several(tmp_path):
    result = checked(Attending(nnx.Rngs(0)), TorchAttending())
    result.raise_if_failed()
    assert cuts_of(leaf.path for leaf in result.weights) == {
        ("qkv", "kernel"): Cutting(1, tuple(Piece(4, f"{name}.weight") for name in "qkvg")),
        ("qkv", "bias"): Cutting(0, tuple(Piece(4, f"{name}.bias") for name in "qkvg")),
    }
    parity.save_map(result.weights, tmp_path / "map.json")
    checked(Attending(nnx.Rngs(0)), TorchAttending(), weights=tmp_path / "map.json").raise_if_failed()


@pytest.mark.slow
def test_parts_in_another_order_are_found():
    result = checked(Attending(nnx.Rngs(0), turned=True), TorchAttending())
    result.raise_if_failed()
    kernel = cuts_of(leaf.path for leaf in result.weights)["qkv", "kernel"]
    assert [piece.key for piece in kernel.pieces] == [f"{name}.weight" for name in "qvkg"]


def test_two_kernels_in_one_array():
    result = checked(Gated(), TorchGated())
    result.raise_if_failed()
    assert any("gating: compared as gate.weight, up.weight, one behind the other" in note for note in result.notes)
    assert [leaf.path[-1] for leaf in result.weights if leaf.key == "up.weight"] == ["gating[axis 0, 1 to 2]/up.weight"]


@pytest.mark.slow
def test_an_array_of_the_name_that_two_tensors_share_holds_these():
    result = checked(Complex(), TorchComplex())
    assert result, result.blame
    assert {leaf.key: leaf.path[0] for leaf in result.weights}["B_im"] == "B"


def test_weights_as_they_are_are_those_of_the_parts():
    ours, theirs = Attending(nnx.Rngs(0)), TorchAttending()
    assert checked(ours, theirs, weights="as they are").status == "fail"
    with torch.no_grad():
        for number, name in enumerate("qkvg"):
            part = slice(4 * number, 4 * number + 4)
            theirs.get_submodule(name).weight.copy_(torch.tensor(np.asarray(ours.qkv.kernel[:, part]).T))
            theirs.get_submodule(name).bias.copy_(torch.tensor(np.asarray(ours.qkv.bias[part])))
        theirs.out.weight.copy_(torch.tensor(np.asarray(ours.out.kernel[...]).T))
        theirs.out.bias.copy_(torch.tensor(np.asarray(ours.out.bias[...])))
    checked(ours, theirs, weights="as they are").raise_if_failed()


class Gates(linen.Module):
    """One dense layer has the gates of both experts; their biases are as large as one of these."""

    @linen.compact
    def __call__(self, x):
        gates = jax.nn.softmax(linen.Dense(2, use_bias=False, name="gates")(x))
        first, second = (self.param(name, linen.initializers.normal(), (8,)) for name in ("b_0", "b_1"))
        return gates[..., :1] * jnp.tanh(x + first) + gates[..., 1:] * jnp.sin(x + second)


class TorchGates(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gates = torch.nn.ModuleList(torch.nn.Linear(8, 1, bias=False) for _ in range(2))
        self.biases = torch.nn.ParameterList(torch.nn.Parameter(torch.zeros(8, 1)) for _ in range(2))

    def forward(self, x):
        gates = torch.cat([gate(x) for gate in self.gates], -1).softmax(-1)
        first, second = (x + bias[:, 0] for bias in self.biases)
        return gates[..., :1] * torch.tanh(first) + gates[..., 1:] * torch.sin(second)


def test_a_bias_as_large_as_a_part_is_not_taken_for_it():
    weight_map = map_of(LinenModel(Gates(), Gates().init(jax.random.key(0), X)), TorchGates(), (X,), (torch.tensor(X),))
    assert weight_map.agrees
    parts = {leaf.key: leaf.path[0] for leaf in weight_map.leaves}
    assert parts == {"gates.0.weight": "gates", "gates.1.weight": "gates", "biases.0": "b_0", "biases.1": "b_1"}


class Chain(nnx.Module):
    def __init__(self, rngs):
        self.both = nnx.Linear(8, 16, use_bias=False, rngs=rngs)

    def __call__(self, x):
        return sum(jnp.split(self.both(x), 2, -1))


def test_control_layers_of_other_inputs_are_no_parts():
    theirs = torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(8, 8, bias=False))
    result = checked(Chain(nnx.Rngs(0)), theirs)
    assert result.status == "fail" and "under the likeliest weight map" in result.blame.text


class ByNorms(torch.optim.Optimizer):
    """Takes steps as long as tensors are: of all that are named as one, of their norm together."""

    def __init__(self, model_parameters, together):
        super().__init__(model_parameters, {"lr": 0.1})
        gate, up, down = self.param_groups[0]["params"]
        self.sets = [[gate, up], [down]] if together else [[gate], [up], [down]]

    @torch.no_grad()
    def step(self):
        for tensors in self.sets:
            length = torch.cat([p.flatten() for p in tensors]).norm()
            steepness = torch.cat([p.grad.flatten() for p in tensors]).norm()
            for p in tensors:
                p.sub_(self.param_groups[0]["lr"] * length / steepness * p.grad)


@pytest.mark.parametrize("together", [True, False])
def test_an_optimiser_of_norms_meets_the_whole_array(together):
    transformation = optax.chain(optax.scale_by_trust_ratio(), optax.scale(-0.1))
    both = transformation, lambda parameters: ByNorms(parameters, together)
    result = parity.check(Gated(), TorchGated(), X, optimizer=both, steps=2, layers=False, tiers=("float64",))
    assert result.status == ("pass" if together else "fail"), result.blame
    assert together or result.blame.text.startswith("the optimiser, at step 1"), result.blame


@pytest.mark.parametrize("name, status", [("kernel", "pass"), ("bias", "fail")])
def test_names_by_which_weights_decay_are_those_of_the_whole_array(name, status):
    def mask(params):
        return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == name, params)

    def torch_adamw(parameters):
        decays = {True: [], False: []}
        for p in parameters:
            decays[p.ndim > 1].append(p)
        groups = [{"params": tensors, "weight_decay": 0.1 * decay} for decay, tensors in decays.items()]
        return torch.optim.AdamW(groups, lr=0.01)

    both = optax.adamw(0.01, weight_decay=0.1, mask=mask), torch_adamw
    pair = Attending(nnx.Rngs(0)), TorchAttending()
    result = parity.check(*pair, X, optimizer=both, steps=2, layers=False, tiers=("float64",))
    assert result.status == status, result.blame


class Filtered(nnx.Module):
    """A convolution of two places whose channels are a filter and a gate."""

    def __init__(self, activation):
        self.conv, self.activation = nnx.Conv(4, 8, (2,), padding="VALID", rngs=nnx.Rngs(0)), activation

    def __call__(self, x):
        filtered, gate = jnp.split(self.conv(x), 2, -1)
        return self.activation(filtered) * jax.nn.sigmoid(gate)


class TorchFiltered(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.filter, self.gate = torch.nn.Conv1d(4, 4, 2), torch.nn.Conv1d(4, 4, 2)

    def forward(self, x):
        x = x.transpose(1, 2)
        return (torch.tanh(self.filter(x)) * torch.sigmoid(self.gate(x))).transpose(1, 2)


@pytest.mark.parametrize("activation, agrees", [(jnp.tanh, True), (jnp.sin, False)])
def test_two_places_of_a_window_are_no_two_layers(activation, agrees):
    x = X[..., :4]
    found = map_of(NNXModel(Filtered(activation)), TorchFiltered(), (x,), (torch.tensor(x),))
    assert found.agrees == agrees
    assert {leaf.stored for leaf in found.leaves if leaf.key.endswith("weight")} == {(2, 4, 4)}
