"""Tensors whose rows are several tensors of unequal sizes on the other side: grouped queries, an MLP beside, tokens."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx

import parity
from d2l_jax import InputError
from parity.match import load_by_map, map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)
HEADS, GROUPS, WIDTH = 4, 2, 3  # heads share two keys each
SIZES = {"q": HEADS * WIDTH, "k": GROUPS * WIDTH, "v": GROUPS * WIDTH, "f": 7}


def dense(inputs, outputs, bias=True):
    return nnx.Linear(inputs, outputs, use_bias=bias, rngs=nnx.Rngs(0))


class TorchFused(torch.nn.Module):
    """Attention of which one matrix makes all, in this order; with f, the inner units of an MLP beside it."""

    def __init__(self, order="qkv", groups=1, bias=True):
        super().__init__()
        self.order, self.groups, self.kv_heads = order, groups, GROUPS
        self.wide = torch.nn.Linear(6, sum(SIZES[name] for name in order), bias=bias)
        self.out = torch.nn.Linear(12, 6)
        if "f" in order:
            self.down = torch.nn.Linear(7, 6)

    def forward(self, x):
        y = self.wide(x).unflatten(-1, (self.groups, -1))
        parts = (part.flatten(-2) for part in y.split([SIZES[name] // self.groups for name in self.order], -1))
        named = dict(zip(self.order, parts))
        mlp = self.down(torch.relu(named["f"])) if "f" in named else 0
        return x + self.out(torch_attended(*(named[name] for name in "qkv"))) + mlp


class TorchApart(torch.nn.Module):
    def __init__(self, mlp=False):
        super().__init__()
        self.kv_heads = GROUPS
        self.q, self.k, self.v = (torch.nn.Linear(6, SIZES[name]) for name in "qkv")
        self.out = torch.nn.Linear(12, 6)
        self.mlp = torch.nn.Sequential(torch.nn.Linear(6, 7), torch.nn.ReLU(), torch.nn.Linear(7, 6)) if mlp else None

    def forward(self, x):
        attended = torch_attended(self.q(x), self.k(x), self.v(x))
        return x + self.out(attended) + (self.mlp(x) if self.mlp else 0)


def torch_attended(q, k, v):
    q, k, v = (t.unflatten(-1, (-1, WIDTH)).transpose(1, 2) for t in (q, k, v))
    k, v = (t.repeat_interleave(HEADS // GROUPS, 1) for t in (k, v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def attended(q, k, v, spread: Any = jnp.repeat):
    q, k, v = (t.reshape(*t.shape[:2], -1, WIDTH) for t in (q, k, v))
    k, v = (spread(t, HEADS // GROUPS, axis=2) for t in (k, v))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / WIDTH**0.5
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v).reshape(*q.shape[:2], 12)


def tiled(x, times, axis):
    return jnp.concatenate([x] * times, axis)


class Apart(nnx.Module):
    def __init__(self, mlp=False, spread=jnp.repeat, turned=False):
        self.spread, self.turned = spread, turned
        self.query, self.key, self.value = (dense(6, SIZES[name]) for name in "qkv")
        self.last = dense(12, 6)
        if mlp:
            self.up, self.down = dense(6, 7), dense(7, 6)

    def __call__(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        k, v = (v, k) if self.turned else (k, v)
        mlp = self.down(nnx.relu(self.up(x))) if hasattr(self, "up") else 0
        return x + self.last(attended(q, k, v, self.spread)) + mlp


class Fused(nnx.Module):
    def __init__(self, order="qkv", groups=1, spread=jnp.repeat):
        self.order, self.groups, self.spread = order, groups, spread
        self.joint, self.last = dense(6, sum(SIZES[name] for name in order)), dense(12, 6)
        if "f" in order:
            self.down = dense(7, 6)

    def __call__(self, x):
        y = self.joint(x).reshape(*x.shape[:2], self.groups, -1)
        ends = np.cumsum([SIZES[name] // self.groups for name in self.order])
        parts = [part.reshape(*x.shape[:2], -1) for part in jnp.split(y, ends[:-1], -1)]
        named = dict(zip(self.order, parts))
        mlp = self.down(nnx.relu(named["f"])) if "f" in named else 0
        return x + self.last(attended(*(named[name] for name in "qkv"), spread=self.spread)) + mlp


def found(ours, theirs):
    return map_of(NNXModel(ours), theirs, (X,), (torch.tensor(X),))


def twice(kind, **options):
    return lambda: nnx.Sequential(kind(**options), kind(**options))


def torch_twice(kind, **options):
    return lambda: torch.nn.Sequential(kind(**options), kind(**options))


slow = pytest.mark.slow
RIGHT = [
    pytest.param(twice(Apart), torch_twice(TorchFused), id="q, k, v of one", marks=slow),
    pytest.param(Apart, lambda: TorchFused("vkq"), id="v, k, q of one"),
    pytest.param(twice(Apart), torch_twice(TorchFused, order="kvq"), id="k, v, q of one", marks=slow),
    pytest.param(Apart, lambda: TorchFused(groups=GROUPS), id="q, k, v of each group"),
    pytest.param(lambda: Apart(mlp=True), lambda: TorchFused("qkvf"), id="with an MLP's"),
    pytest.param(twice(Apart, mlp=True), torch_twice(TorchFused, order="fkqv"), id="with an MLP's before", marks=slow),
    pytest.param(lambda: Fused("kvq"), TorchApart, id="one of k, v, q"),
    pytest.param(lambda: Fused(groups=GROUPS), TorchApart, id="one of each group", marks=slow),
    pytest.param(lambda: Fused("qkvf"), lambda: TorchApart(mlp=True), id="one of q, k, v and an MLP's", marks=slow),
    pytest.param(lambda: Fused("fkqv"), lambda: TorchApart(mlp=True), id="one of an MLP's and k, q, v", marks=slow),
    pytest.param(twice(Fused, order="kvq"), torch_twice(TorchFused), id="k, v, q of q, k, v", marks=slow),
    pytest.param(Fused, lambda: TorchFused(groups=GROUPS), id="q, k, v of each group of all", marks=slow),
    pytest.param(lambda: Fused("fkvq"), lambda: TorchFused("qkvf"), id="f, k, v, q of q, k, v, f", marks=slow),
]


@pytest.mark.parametrize("ours, theirs", RIGHT)
def test_the_parts_are_found_under_which_both_compute_the_same_and_weights_load_in_them(ours, theirs):
    model, twin = ours(), theirs()
    weight_map = found(model, twin)
    assert weight_map.agrees
    loaded = load_by_map(model, twin.state_dict(), weight_map.leaves)
    np.testing.assert_allclose(loaded(jnp.asarray(X)), twin(torch.tensor(X)).detach(), atol=1e-5)


def rows_of_layers(weight_map):
    return {leaf.path[-2]: leaf.rows for leaf in weight_map.leaves if leaf.path[-1] == "kernel" and leaf.rows}


def test_keys_that_are_used_as_values_have_the_rows_of_values():
    weight_map = found(Apart(turned=True), TorchFused())
    assert weight_map.agrees
    assert rows_of_layers(weight_map) == {"query": (0, 12), "key": (18, 24), "value": (12, 18)}


@pytest.mark.parametrize(
    "ours, theirs",
    [
        pytest.param(lambda: Apart(spread=tiled), TorchFused, id="parts"),
        pytest.param(lambda: Fused(spread=tiled), TorchApart, id="one", marks=slow),
        pytest.param(lambda: Fused("kvq", spread=tiled), TorchFused, id="both", marks=slow),
    ],
)
def test_control_no_rows_make_another_group_of_each_head_right(ours, theirs):
    assert not found(ours(), theirs()).agrees


def test_the_parts_of_a_pair_with_a_mistake_stand_in_the_usual_order():
    weight_map = found(Apart(spread=tiled), TorchFused())
    assert not weight_map.agrees
    assert rows_of_layers(weight_map) == {"query": (0, 12), "key": (12, 18), "value": (18, 24)}


@pytest.mark.parametrize("rate, status", [(1e-2, "pass"), pytest.param(1.1e-2, "fail", marks=slow)])
def test_a_step_is_that_of_the_whole_tensor(rate, status):
    adam = optax.adam(rate), lambda parameters: torch.optim.Adam(parameters, 1e-2)
    options = {"optimizer": adam, "steps": 1, "layers": False, "tiers": ("float64",)}
    result = parity.check(Apart(mlp=True), TorchFused("vfqk"), X, **options)
    assert result.status == status, result.blame
    assert len({leaf.rows for leaf in result.weights if leaf.key == "wide.bias"}) == 4


TABLE, COLUMNS = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32), (3, 7)
CODES = np.random.default_rng(2).integers(0, 3, (3, 2)).astype(np.int32)


class TorchTokens(torch.nn.Module):
    """A row for the class and one for each number of a table in one parameter, categories in one embedding."""

    def __init__(self, last=False, more=0, ahead=()):
        super().__init__()
        self.last = last
        self.tokens = torch.nn.Parameter(torch.randn(*ahead, 5 + more, 6))
        self.codes = torch.nn.Embedding(sum(COLUMNS), 6)
        self.mix, self.head = torch.nn.Linear(6, 6), torch.nn.Linear(6, 2)

    def forward(self, x, codes):
        rows = self.tokens.reshape(-1, 6)
        cls, features = (rows[4:], rows[:4]) if self.last else (rows[:1], rows[1:5])
        return self.mixed(x, cls, features, self.codes(codes + torch.tensor([0, 3])))

    def mixed(self, x, cls, features, coded):
        tokens = [cls.expand(len(x), 1, 6), x[..., None] * features, coded]
        y = torch.tanh(self.mix(torch.cat(tokens, 1)))
        return self.head(y[:, 0] * y[:, 1:].sum(1))


class TorchTokensApart(TorchTokens):
    def __init__(self):
        super().__init__()
        del self.tokens, self.codes
        self.cls, self.features = (torch.nn.Parameter(torch.randn(n, 6)) for n in (1, 4))
        self.first, self.second = (torch.nn.Embedding(n, 6) for n in COLUMNS)

    def forward(self, x, codes):
        coded = torch.cat([self.first(codes[:, :1]), self.second(codes[:, 1:])], 1)
        return self.mixed(x, self.cls, self.features, coded)


class Tokens(nnx.Module):
    def __init__(self):
        self.features, self.cls = nnx.Param(jnp.zeros((4, 6))), nnx.Param(jnp.zeros((1, 1, 6)))
        self.first, self.second = (nnx.Embed(n, 6, rngs=nnx.Rngs(0)) for n in COLUMNS)
        self.mix, self.head = dense(6, 6), dense(6, 2)

    def __call__(self, x, codes):
        cls = jnp.broadcast_to(self.cls[...], (len(x), 1, 6))
        tokens = [cls, x[..., None] * self.features[...], self.first(codes[:, :1]), self.second(codes[:, 1:])]
        y = jnp.tanh(self.mix(jnp.concatenate(tokens, 1)))
        return self.head(y[:, 0] * y[:, 1:].sum(1))


class TokensInOne(nnx.Module):
    def __init__(self):
        self.tokens, self.codes = nnx.Param(jnp.zeros((5, 6))), nnx.Embed(sum(COLUMNS), 6, rngs=nnx.Rngs(0))
        self.mix, self.head = dense(6, 6), dense(6, 2)

    def __call__(self, x, codes):
        cls = jnp.broadcast_to(self.tokens[:1], (len(x), 1, 6))
        tokens = [cls, x[..., None] * self.tokens[1:], self.codes(codes + jnp.array([0, 3]))]
        y = jnp.tanh(self.mix(jnp.concatenate(tokens, 1)))
        return self.head(y[:, 0] * y[:, 1:].sum(1))


def found_tokens(ours, theirs):
    return map_of(NNXModel(ours), theirs, (TABLE, CODES), (torch.tensor(TABLE), torch.tensor(CODES)))


@pytest.mark.parametrize(
    "ours, theirs",
    [
        pytest.param(Tokens, TorchTokens, id="first"),
        pytest.param(Tokens, lambda: TorchTokens(last=True), id="last"),
        pytest.param(Tokens, lambda: TorchTokens(ahead=(1,)), id="behind an axis of size 1"),
        pytest.param(TokensInOne, TorchTokensApart, id="one", marks=slow),
    ],
)
def test_tokens_and_tables_are_rows_of_one_parameter(ours, theirs):
    model, twin = ours(), theirs()
    weight_map = found_tokens(model, twin)
    assert weight_map.agrees
    loaded = load_by_map(model, twin.state_dict(), weight_map.leaves)
    wanted = twin(torch.tensor(TABLE), torch.tensor(CODES)).detach()
    np.testing.assert_allclose(loaded(jnp.asarray(TABLE), jnp.asarray(CODES)), wanted, atol=1e-5)


def test_control_a_row_too_many_is_refused():
    with pytest.raises(InputError, match=r"only in PyTorch: tokens \(6, 6\); only in Flax: cls .*; only in Flax: feat"):
        found_tokens(Tokens(), TorchTokens(more=1))
