"""Weight maps of whole models: wiring that leaves several choices, mistakes, shared weights, and what cannot match."""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from test_match_kinds import (
    X2,
    Chain,
    R,
    S,
    T,
    first,
    linen_model,
    outputs,
    plain_attention,
    recurrent,
    values,
    verified,
)

from d2l_jax import nn
from d2l_jax.errors import InputError
from parity.match import load_map, match, save_map
from parity.match.arrangement import arrangement
from parity.models.flax_model import NNXModel


def keys_by_path(leaves: list) -> dict[tuple, str]:
    return {leaf.path: leaf.key for leaf in leaves}


def refusal(flax: nnx.Module, torch_model: torch.nn.Module, x: np.ndarray, tx: torch.Tensor) -> str:
    with pytest.raises(InputError) as error:
        match(NNXModel(flax), torch_model, (x,), (tx,))
    return str(error.value)


class HeadsTorch(T.Module):
    """Attention from four dense layers of one shape, three of which see the same input."""

    def __init__(self):
        super().__init__()
        self.W_q, self.W_k, self.W_v, self.W_o = (T.Linear(8, 8) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = (self.W_q(x) @ self.W_k(x).transpose(1, 2)).softmax(-1)
        return self.W_o(weights @ self.W_v(x))


class Heads(nnx.Module):
    """The same with names that tell nothing, called in another order."""

    def __init__(self, rngs: nnx.Rngs):
        self.a, self.b, self.c, self.d = (nnx.Linear(8, 8, rngs=rngs) for _ in range(4))

    def __call__(self, x: jax.Array) -> jax.Array:
        value, key, query = self.a(x), self.b(x), self.c(x)
        return self.d(jax.nn.softmax(query @ key.transpose(0, 2, 1)) @ value)


def test_branches_with_equal_inputs_are_told_apart_by_what_follows():
    leaves = verified(NNXModel(Chain(Heads(R), Heads(R))), T.Sequential(HeadsTorch(), HeadsTorch()), S, torch.tensor(S))
    found = keys_by_path(leaves)
    for block in range(2):
        names = {name: found["parts", block, name, "kernel"] for name in "abcd"}
        assert names == dict(zip("abcd", (f"{block}.W_{letter}.weight" for letter in "vkqo")))


def test_flax_attention_against_four_dense_layers():
    class Halves(T.Module):
        def __init__(self):
            super().__init__()
            self.W_q, self.W_k, self.W_v, self.W_o = (T.Linear(8, 8) for _ in range(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = (w(x).reshape(3, 5, 2, 4).transpose(1, 2) for w in (self.W_q, self.W_k, self.W_v))
            return self.W_o(T.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(3, 5, 8))

    ours = nnx.MultiHeadAttention(2, 8, decode=False, attention_fn=plain_attention, rngs=R)
    assert keys_by_path(verified(NNXModel(ours), Halves(), S, torch.tensor(S)))["value", "kernel"] == "W_v.weight"


class SelfAttention(T.Module):
    def __init__(self):
        super().__init__()
        self.inner = T.MultiheadAttention(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.transpose(0, 1)
        return self.inner(x, x, x)[0].transpose(0, 1)


class FourDense(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.o, self.v, self.k, self.q = (nnx.Linear(8, 8, rngs=rngs) for _ in range(4))

    def __call__(self, x: jax.Array) -> jax.Array:
        v, k, q = (w(x).reshape(3, 5, 2, 4) for w in (self.v, self.k, self.q))
        return self.o(plain_attention(q, k, v).reshape(3, 5, 8))


class Fused(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.all, self.end = nnx.Linear(8, 24, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        q, k, v = (w.reshape(3, 5, 2, 4) for w in jnp.split(self.all(x), 3, -1))
        return self.end(plain_attention(q, k, v).reshape(3, 5, 8))


def test_four_dense_layers_against_attention():
    leaves = verified(NNXModel(FourDense(R)), SelfAttention(), S, torch.tensor(S))
    rows = {leaf.path[0]: leaf.rows for leaf in leaves}
    assert rows == {"q": (0, 8), "k": (8, 16), "v": (16, 24), "o": None}


def test_two_dense_layers_against_attention():
    leaves = verified(NNXModel(Fused(R)), SelfAttention(), S, torch.tensor(S))
    assert {leaf.path[0]: leaf.key.split(".")[1] for leaf in leaves if leaf.path[1] == "kernel"} == {
        "all": "in_proj_weight",
        "end": "out_proj",
    }


class TiedTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.embed = T.Embedding(11, 8)
        self.out = T.Linear(8, 11, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.tanh(self.embed(x)))


class Tied(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.table = nnx.Embed(11, 8, param_dtype=jnp.float64, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.table.attend(jnp.tanh(self.table(x)))


class Untied(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.table = nnx.Embed(11, 8, param_dtype=jnp.float64, rngs=rngs)
        self.out = nnx.Linear(8, 11, use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.out(jnp.tanh(self.table(x)))


WORDS = np.arange(15).reshape(3, 5) % 11


def test_one_variable_for_two_keys():
    leaves = verified(NNXModel(Tied(R)), TiedTorch(), WORDS, torch.tensor(WORDS))
    assert [(leaf.key, leaf.path) for leaf in leaves] == [
        ("embed.weight", ("table", "embedding")),
        ("out.weight", ("table", "embedding")),
    ]


def test_two_variables_for_one_shared_tensor():
    leaves = verified(NNXModel(Untied(R)), TiedTorch(), WORDS, torch.tensor(WORDS))
    assert [leaf.path for leaf in leaves] == [("table", "embedding"), ("out", "kernel")]


def test_two_layers_for_one_that_is_called_twice():
    shared = T.Linear(8, 8)
    ours = Chain(nnx.Linear(8, 8, rngs=R), jax.nn.relu, nnx.Linear(8, 8, rngs=R))
    leaves = verified(NNXModel(ours), T.Sequential(shared, T.ReLU(), shared), S, torch.tensor(S))
    assert keys_by_path(leaves)["parts", 2, "kernel"] == "2.weight"


def test_a_layer_called_twice_is_matched_once():
    dense, shared = nnx.Linear(8, 8, rngs=R), T.Linear(8, 8)
    theirs = T.Sequential(shared, T.ReLU(), T.Linear(8, 8), shared)
    leaves = verified(NNXModel(Chain(dense, jax.nn.relu, nnx.Linear(8, 8, rngs=R), dense)), theirs, S, torch.tensor(S))
    assert [leaf.key for leaf in leaves if leaf.path == ("parts", 0, "kernel")] == ["0.weight", "3.weight"]


class TokensTorch(T.Module):
    """Parameters of its own beside its layers, as in a vision transformer."""

    def __init__(self):
        super().__init__()
        self.cls = T.Parameter(torch.zeros(1, 1, 8))
        self.places = T.Parameter(torch.zeros(1, 6, 8))
        self.shift = T.Parameter(torch.zeros(1, 1, 8))
        self.mix = T.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat((self.cls.expand(len(x), -1, -1), x), 1) + self.places
        return self.mix(x) * self.shift


class Tokens(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.dense = nnx.Linear(8, 8, rngs=rngs)
        self.a = nnx.Param(jnp.zeros((8,)))  # PyTorch's second
        self.b = nnx.Param(jnp.zeros((6, 8)))
        self.c = nnx.Param(jnp.zeros((1, 8)))

    def __call__(self, x: jax.Array) -> jax.Array:
        x = jnp.concatenate((jnp.broadcast_to(self.c[...], (len(x), 1, 8)), x), 1) + self.b[...]
        return self.dense(x) * self.a[...]


def test_parameters_outside_of_layers():
    leaves = verified(NNXModel(Tokens(R)), TokensTorch(), S, torch.tensor(S))
    found = keys_by_path(leaves)
    assert (found["a",], found["c",]) == ("shift", "cls")


class SquareTorch(T.Module):
    """A layer of the user's own with a square weight and another one in its place."""

    def __init__(self):
        super().__init__()
        self.up, self.down = (T.Parameter(torch.zeros(8, 8)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ self.up) @ self.down.T


class Square(nnx.Module):
    def __init__(self):
        self.one, self.two = (nnx.Param(jnp.zeros((8, 8))) for _ in range(2))

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.tanh(x @ self.two[...]) @ self.one[...]


def test_square_weights_of_unknown_layers_are_tried():
    leaves = verified(
        NNXModel(Chain(Square(), Square())), T.Sequential(SquareTorch(), SquareTorch()), S, torch.tensor(S)
    )
    found = {leaf.path[-1]: (leaf.key[2:], leaf.axes) for leaf in leaves}
    assert found == {"two": ("up", (0, 1)), "one": ("down", (1, 0))}


class Net(nnx.Module):
    """A small network in which every planted bug can be put."""

    def __init__(self, bug: str, rngs: nnx.Rngs):
        width = 7 if bug == "width" else 8
        self.c = nnx.Conv(4, 8, (3, 3), strides=2, padding="SAME" if bug == "padding" else 1, rngs=rngs)
        self.n = nnx.BatchNorm(8, epsilon=0.1 if bug == "epsilon" else 1e-5, rngs=rngs)
        self.d = nnx.Conv(8, 8, (3, 3), padding=1, rngs=rngs) if bug != "missing" else lambda x: x
        self.e = nnx.Conv(8, 8, (3, 3), padding=1, use_bias=bug != "bias", rngs=rngs)
        self.f = nnx.Linear(8, width, rngs=rngs)
        self.g = nnx.Linear(width, 8, rngs=rngs)
        self.h = nnx.Linear(8, 8, rngs=rngs)
        self.activation = jnp.tanh if bug == "activation" else jax.nn.relu
        self.bug = bug

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.n(self.c(x))
        x = self.e(self.activation(self.d(self.activation(x)))).mean((1, 2))
        x = self.f(x) if self.bug == "no activation" else jnp.tanh(self.f(x))
        x = self.g(x[:, ::-1] if self.bug == "flip" else x)
        return self.h(x)


def net_torch() -> T.Module:
    class Mean(T.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3))

    conv = lambda *args: T.Conv2d(*args, padding=1)  # noqa: E731
    head = [T.Linear(8, 8), T.Tanh(), T.Linear(8, 8), T.Linear(8, 8)]
    return T.Sequential(
        conv(4, 8, 3, 2), T.BatchNorm2d(8), T.ReLU(True), conv(8, 8, 3), T.ReLU(True), conv(8, 8, 3), Mean(), *head
    )


EVEN = values(2, 10, 7, 4)
NAMES = {"c": "0", "n": "1", "d": "3", "e": "5", "f": "7", "g": "9", "h": "10"}


@pytest.mark.parametrize("bug", ["", "padding", "epsilon", "activation", "no activation", "flip"])
def test_a_mistake_does_not_hide_the_map(bug):
    leaves = match(NNXModel(Net(bug, R)), net_torch(), (EVEN,), (first(EVEN),))
    assert {leaf.path[0]: leaf.key.split(".")[0] for leaf in leaves} == NAMES
    assert len(leaves) == 16


def test_control_the_net_without_a_mistake_is_the_same():
    verified(NNXModel(Net("", R)), net_torch(), EVEN, first(EVEN))


def test_control_a_missing_layer_is_listed():
    message = refusal(Net("missing", R), net_torch(), EVEN, first(EVEN))
    assert message.count("only in PyTorch") == 2 and "weight (8, 8, 3, 3)" in message and "only in Flax" not in message


def test_control_a_layer_of_another_width_is_listed():
    message = refusal(Net("width", R), net_torch(), EVEN, first(EVEN))
    assert "only in Flax: f.kernel (8, 7)" in message and "only in Flax: g.kernel (7, 8)" in message
    assert message.count("only in PyTorch") == message.count("only in Flax") == 3  # one more bias of 8 fits


def test_control_a_missing_bias_is_listed():
    message = refusal(Net("bias", R), net_torch(), EVEN, first(EVEN))
    assert message.endswith("the same tensors: only in PyTorch: 5.bias (8,)")


def test_a_buffer_of_pytorch_needs_a_counterpart():
    theirs = T.Linear(8, 8)
    theirs.register_buffer("mask", torch.ones(5, 3))
    message = refusal(nnx.Linear(8, 8, rngs=R), theirs, S, torch.tensor(S))
    assert message.endswith("the same tensors: only in PyTorch: mask (5, 3)")
    theirs.register_buffer("mask", torch.ones(5, 3), persistent=False)
    verified(NNXModel(nnx.Linear(8, 8, rngs=R)), theirs, S, torch.tensor(S))


def test_a_model_that_does_not_run():
    theirs = T.Sequential(T.Linear(8, 8), T.Linear(8, 8))

    def broken(x: jax.Array) -> jax.Array:
        raise TypeError("no such thing")

    ours = Chain(nnx.Linear(8, 8, rngs=R), broken, nnx.Linear(8, 8, rngs=R))
    assert "does not run on these inputs: no such thing" in refusal(ours, theirs, S, torch.tensor(S))
    assert "PyTorch's model does not run" in refusal(ours, theirs, S, torch.ones(3, 7))


class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array, training: bool) -> jax.Array:
        x = linen.Conv(8, (3, 3), padding=0, use_bias=False)(x)
        x = linen.relu(linen.BatchNorm(not training, momentum=0.9)(x))
        x = linen.Dropout(0.5, deterministic=not training)(x)
        x = linen.Dense(8)(x.reshape(x.shape[0], -1))
        return linen.Dense(3)(linen.relu(x))


def test_a_linen_model():
    module = LinenNet()
    model = linen_model(module, jnp.asarray(X2), False)
    theirs = T.Sequential(
        *(T.Conv2d(4, 8, 3, bias=False), T.BatchNorm2d(8), T.ReLU(inplace=True), T.Dropout(), T.Flatten()),
        *(T.Linear(280, 8), T.ReLU(inplace=True), T.Linear(8, 3)),
    )
    found = keys_by_path(verified(model, theirs, X2, first(X2)))
    assert found["batch_stats", "BatchNorm_0", "var"] == "1.running_var"


def test_neither_model_is_changed():
    ours, theirs = Net("", R), net_torch()
    before = {key: tensor.clone() for key, tensor in theirs.state_dict().items()}
    kernel = np.asarray(ours.c.kernel[...])
    match(NNXModel(ours), theirs, (EVEN,), (first(EVEN),))
    assert all(torch.equal(before[key], tensor) for key, tensor in theirs.state_dict().items())
    assert theirs.training and np.array_equal(kernel, ours.c.kernel[...])
    assert torch.backends.mha.get_fastpath_enabled()


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


class OwnLSTM(nnx.Module):
    """A scan over layers of its own, which nobody sees being called."""

    def __init__(self, biases: int):
        self.x = nnx.Linear(8, 32, rngs=R)
        self.h = nnx.Linear(8, 32, use_bias=biases > 1, rngs=R)

    def __call__(self, x: jax.Array) -> jax.Array:
        def step(carry: tuple, x: jax.Array) -> tuple:
            i, f, g, o = jnp.split(self.x(x) + self.h(carry[0]), 4, -1)
            c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((len(x), 8), x.dtype)
        return jax.lax.scan(step, (zero, zero), x.swapaxes(0, 1))[1].swapaxes(0, 1)


@pytest.mark.parametrize("biases", [1, 2])
def test_a_scan_of_the_users_own(biases):
    ours = NNXModel(Chain(OwnLSTM(biases), OwnLSTM(biases), nnx.Linear(8, 8, rngs=R)))
    theirs = T.Sequential(recurrent("LSTM", 2, False), T.Linear(8, 8))
    found = keys_by_path(verified(ours, theirs, S, torch.tensor(S)))
    assert found["parts", 1, "h", "kernel"] == "0.inner.weight_hh_l1"


class StepsTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.below, self.above = T.LSTMCell(8, 8), T.GRUCell(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = c = y = torch.zeros(len(x), 8, dtype=x.dtype)
        for t in range(x.shape[1]):
            h, c = self.below(x[:, t], (h, c))
            y = self.above(h, y)
        return y


class Steps(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        above, below = linen.GRUCell(8, param_dtype=jnp.float64), linen.LSTMCell(8, param_dtype=jnp.float64)
        y = jnp.zeros((len(x), 8))
        carry = (y, y)
        for t in range(x.shape[1]):
            carry, h = below(carry, x[:, t])
            y, _ = above(y, h)
        return y


def test_cells_in_a_loop():
    verified(linen_model(Steps(), S), StepsTorch(), S, torch.tensor(S))


class PairTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.both = T.Linear(8, 8), T.Linear(8, 8), T.Bilinear(8, 8, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple:
        x, y = self.a(x), self.b(y)
        return self.both(x, y), x


class Pair(nnx.Module):
    def __init__(self):
        self.p, self.q = nnx.Linear(8, 8, rngs=R), nnx.Linear(8, 8, rngs=R)
        self.cube, self.offset = nnx.Param(jnp.zeros((8, 8, 4))), nnx.Param(jnp.zeros(4))

    def __call__(self, x: jax.Array, y: jax.Array) -> tuple:
        y, x = self.p(y), self.q(x)
        return jnp.einsum("bi,bj,ijk->bk", x, y, self.cube[...]) + self.offset[...], x


def test_two_inputs_two_outputs_and_axes_that_only_values_tell():
    x, y = values(3, 8), values(4, 8)[:3]
    leaves = verified(NNXModel(Pair()), PairTorch(), (x, y), (torch.tensor(x), torch.tensor(y)))
    assert {leaf.path[0]: leaf.axes for leaf in leaves}["cube"] == (2, 0, 1)


def test_control_a_wrong_map_is_noticed():
    ours, theirs = NNXModel(Chain(Heads(R))), T.Sequential(HeadsTorch())
    leaves = match(ours, theirs, (S,), (torch.tensor(S),))
    left, right = outputs(ours, theirs, leaves, (S,), (torch.tensor(S),))
    assert np.allclose(left[0], right[0], rtol=0, atol=1e-12)
    other = {"0.W_q.weight": "0.W_v.weight", "0.W_v.weight": "0.W_q.weight"}
    wrong = [dataclasses.replace(leaf, key=other.get(leaf.key, leaf.key)) for leaf in leaves]
    left, right = outputs(ours, theirs, wrong, (S,), (torch.tensor(S),))
    assert np.max(np.abs(left[0] - right[0])) > 0.1


def test_arrangements():
    x = values(2, 4, 5, 3)  # PyTorch's
    last = x.transpose(0, 2, 3, 1)
    assert arrangement(last, x).axes == (0, 2, 3, 1)
    assert arrangement(last.reshape(2, 15, 4), x).joined
    assert arrangement(x[:, 0].transpose(1, 0, 2), x[:, 0]).axes == (1, 0, 2)
    found = arrangement(last.reshape(2, -1), x.reshape(2, -1))
    assert (found.split, found.order) == ((15, 4), (1, 0))


def test_control_arrangements_that_are_none():
    x = values(2, 4, 5, 3)
    shuffled = np.random.default_rng(0).permutation(x.ravel()).reshape(x.shape)
    assert arrangement(shuffled, x) is None  # the same numbers
    assert arrangement(x + 0.1, x) is None
    assert arrangement(np.where(x > 2, np.nan, x), x) is None
    assert arrangement(x[:1], x) is None
    assert arrangement(np.arange(6), np.arange(6)[::-1].copy()) is None
