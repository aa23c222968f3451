"""Layers of Flax's that no layer of PyTorch's is given just the input of: several are given it, or one more of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

from parity.match import map_of
from parity.match.arrangement import arrangement, within
from parity.match.fitting import same_words
from parity.match.search import Search
from parity.models.linen_model import LinenModel
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)
HEADS, GROUPS, WIDTH = 4, 2, 3  # keys and values have as many numbers together as what is attended


class Einsum(linen.Module):
    shape: tuple[int, ...]

    @linen.compact
    def __call__(self, equation, x):
        return jnp.einsum(equation, x, self.param("w", linen.initializers.normal(), self.shape))


class Grouped(linen.Module):
    """Attention with keys and values in one array, and axes for the heads."""

    @linen.compact
    def __call__(self, x):
        q = Einsum((HEADS, 6, WIDTH), name="q_einsum")("btd,ndh->btnh", x)
        k, v = Einsum((2, GROUPS, 6, WIDTH), name="kv_einsum")("bsd,ckdh->cbskh", x)
        k, v = (jnp.repeat(each, HEADS // GROUPS, 2) for each in (k, v))
        weights = jax.nn.softmax(jnp.einsum("btnh,bsnh->bnts", q, k))
        attended = jnp.einsum("bnts,bsnh->btnh", weights, v)
        return Einsum((HEADS, WIDTH, 6), name="vec_einsum")("btnh,nhd->btd", attended)


class TorchGrouped(torch.nn.Module):
    def __init__(self):
        super().__init__()
        width = HEADS * WIDTH
        self.q_proj, self.k_proj = (torch.nn.Linear(6, n, bias=False) for n in (width, GROUPS * WIDTH))
        self.v_proj, self.o_proj = (torch.nn.Linear(*n, bias=False) for n in ((6, GROUPS * WIDTH), (width, 6)))

    def forward(self, x):
        q, k, v = (f(x).unflatten(-1, (-1, WIDTH)).transpose(1, 2) for f in (self.q_proj, self.k_proj, self.v_proj))
        k, v = (each.repeat_interleave(HEADS // GROUPS, 1) for each in (k, v))
        weights = (q @ k.transpose(2, 3)).softmax(-1)
        return self.o_proj((weights @ v).transpose(1, 2).flatten(2))


def found(model, theirs):
    return map_of(model, theirs, (X,), (torch.tensor(X),))


def test_an_array_for_two_layers_is_not_taken_for_a_third_of_its_size():
    variables = dict(Grouped().init(jax.random.key(0), X))
    weight_map = found(LinenModel(Grouped(), variables, ()), TorchGrouped())
    assert weight_map.agrees
    homes = {leaf.key: leaf.path for leaf in weight_map.leaves}
    assert {key: path[0] for key, path in homes.items()} == {
        **{"q_proj.weight": "q_einsum", "o_proj.weight": "vec_einsum"},
        **{"k_proj.weight": "kv_einsum", "v_proj.weight": "kv_einsum"},
    }


class Last(nnx.Module):
    """Asks with the last two tokens alone."""

    def __init__(self):
        self.q, self.k, self.v = (nnx.Linear(6, 6, rngs=nnx.Rngs(0)) for _ in range(3))

    def __call__(self, x):
        weights = jax.nn.softmax(jnp.einsum("bqd,bkd->bqk", self.q(x[:, -2:]), self.k(x)))
        return jnp.einsum("bqk,bkd->bqd", weights, self.v(x))


class TorchLast(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.other, self.qkv = torch.nn.Linear(6, 6), torch.nn.Linear(6, 18)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return torch.einsum("bqk,bkd->bqd", torch.einsum("bqd,bkd->bqk", q[:, -2:], k).softmax(-1), v)


class WithOther(nnx.Module):
    """Has a layer more, of the size of each of the others."""

    def __init__(self):
        self.last, self.other = Last(), nnx.Linear(6, 6, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.last(x)


def test_a_layer_that_is_given_some_of_the_tokens_is_a_part_of_one_that_is_given_all():
    weight_map = found(NNXModel(WithOther()), TorchLast())
    assert weight_map.agrees
    assert {leaf.path[-2]: leaf.rows for leaf in weight_map.leaves if leaf.key == "qkv.weight"} == {
        **{"q": (0, 6), "k": (6, 12), "v": (12, 18)}
    }


class Projections(nnx.Module):
    """Projects all tokens, and uses the first two of the first projection alone."""

    def __init__(self, names: tuple[str, ...], factor: float = 1.0):
        self.names, self.factor = names, factor
        for name in names:
            setattr(self, name, nnx.Linear(6, 6, rngs=nnx.Rngs(0)))

    def __call__(self, x):
        of_some, *others = (getattr(self, name)(x) for name in self.names)
        return jnp.tanh(of_some[:, :2]).sum(1) - self.factor * (others[0] * jnp.tanh(others[1])).sum(1)


class TorchProjections(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.key_global, self.query_global, self.value_global = (torch.nn.Linear(6, 6) for _ in range(3))

    def forward(self, x):
        of_some, others = self.query_global(x[:, :2]), (self.key_global(x), self.value_global(x))
        return torch.tanh(of_some).sum(1) - (others[0] * torch.tanh(others[1])).sum(1)


@pytest.mark.parametrize("names", [("q_global", "k_global", "v_global"), ("a", "b", "c")], ids=["names", "trial"])
def test_a_layer_of_pytorch_may_be_given_some_of_the_tokens(names: tuple[str, ...]):
    weight_map = found(NNXModel(Projections(names)), TorchProjections())
    assert weight_map.agrees
    partners = {leaf.path[0]: leaf.key.split("_")[0] for leaf in weight_map.leaves}
    assert partners == dict(zip(names, ("query", "key", "value"), strict=True))


def test_control_no_map_agrees_where_some_of_the_tokens_are_used_otherwise():
    search = Search(TorchProjections(), (X,), (torch.tensor(X),))
    assert not search.found(NNXModel(Projections(("a", "b", "c"), 2.0)), runs=8).agrees


def test_single_letters_stand_for_words():
    assert same_words("q_global", "query_global") and same_words("Value", "v")
    assert not same_words("k_global", "query_global") and not same_words("q", "query_global")
    assert not same_words("conv_1", "conv_12")


def test_some_of_the_numbers_of_another_array():
    some = np.concatenate([X[:, 3:], np.zeros((2, 1, 6))], 1)
    assert within(some, X) and within(X[0], X.swapaxes(0, 1))
    assert not within(X, some) and not within(some + 1e-3, X) and not within(X[..., :2].round(), X)
    assert not within(np.zeros((2, 3)), X) and not within(np.arange(6), np.arange(30))


def test_heads_may_have_an_axis_of_their_own():
    heads = X.reshape(2, 5, 3, 2)
    for ours in (heads, heads.transpose(0, 2, 1, 3), heads.transpose(1, 0, 2, 3)):
        match = arrangement(ours, X)
        assert match and match.gap == 0
    assert arrangement(heads[..., ::-1], X) is None
