"""Weight maps of whole models: wiring that leaves several choices, mistakes, shared weights, and what cannot match."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from matching import (
    Chain,
    R,
    S,
    T,
    keys_by_path,
    outputs,
    plain_attention,
    verified,
)

from parity.match import match
from parity.models.nnx_model import NNXModel


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
        value = self.a(x)
        key = self.b(x)
        query = self.c(x)
        return self.d(jax.nn.softmax(query @ key.transpose(0, 2, 1)) @ value)


def test_branches_with_equal_inputs_are_told_apart_by_what_follows():
    leaves = verified(NNXModel(Chain(Heads(R), Heads(R))), T.Sequential(HeadsTorch(), HeadsTorch()), S, torch.tensor(S))
    key_of = keys_by_path(leaves)
    for block in range(2):
        names = {name: key_of["parts", block, name, "kernel"] for name in "abcd"}
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
        self.all = nnx.Linear(8, 24, rngs=rngs)
        self.end = nnx.Linear(8, 8, rngs=rngs)

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
    dense = nnx.Linear(8, 8, rngs=R)
    shared = T.Linear(8, 8)
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
    key_of = keys_by_path(leaves)
    assert (key_of["a",], key_of["c",]) == ("shift", "cls")


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
    keys_and_axes = {leaf.path[-1]: (leaf.key[2:], leaf.axes) for leaf in leaves}
    assert keys_and_axes == {"two": ("up", (0, 1)), "one": ("down", (1, 0))}


def test_control_a_wrong_map_is_noticed():
    ours = NNXModel(Chain(Heads(R)))
    theirs = T.Sequential(HeadsTorch())
    leaves = match(ours, theirs, (S,), (torch.tensor(S),))
    left, right = outputs(ours, theirs, leaves, (S,), (torch.tensor(S),))
    assert np.allclose(left[0], right[0], rtol=0, atol=1e-12)
    other = {"0.W_q.weight": "0.W_v.weight", "0.W_v.weight": "0.W_q.weight"}
    wrong = [dataclasses.replace(leaf, key=other.get(leaf.key, leaf.key)) for leaf in leaves]
    left, right = outputs(ours, theirs, wrong, (S,), (torch.tensor(S),))
    assert np.max(np.abs(left[0] - right[0])) > 0.1
