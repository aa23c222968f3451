"""Arrays whose parts stand in another order than PyTorch's: the numbers decide, and a part taken twice fails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch.nn.functional import glu, scaled_dot_product_attention

import parity
from parity.match import load_by_map, map_of
from parity.models.cut import Cut
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
HEADS = 2


class TorchFused(torch.nn.Module):
    """One dense layer for queries, keys and values; `each`: of every head one behind the other."""

    def __init__(self, each=False):
        super().__init__()
        self.heads, self.each = HEADS, each
        self.qkv, self.out = torch.nn.Linear(8, 24), torch.nn.Linear(8, 8)

    def forward(self, x):
        shape = (HEADS, 3, 4) if self.each else (3, HEADS, 4)
        y = self.qkv(x).unflatten(-1, shape).movedim(-2 if self.each else -3, 0)
        q, k, v = (t.transpose(1, 2) for t in y)
        return self.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class TorchApart(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = HEADS
        self.q, self.k, self.v, self.out = (torch.nn.Linear(8, 8) for _ in range(4))

    def forward(self, x):
        q, k, v = (layer(x).unflatten(-1, (HEADS, 4)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        return self.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def kqv(y):
    k, q, v = (t.reshape(*t.shape[:-1], HEADS, 4) for t in jnp.split(y, 3, -1))
    return q, k, v


def of_each_head(y):
    y = y.reshape(*y.shape[:-1], HEADS, 3, 4)
    return y[..., 2, :], y[..., 0, :], y[..., 1, :]


def of_each_unit(y):
    y = y.reshape(*y.shape[:-1], HEADS, 4, 3)
    return y[..., 0], y[..., 1], y[..., 2]


def keys_as_values(y):
    q, k, _ = kqv(y)
    return q, k, k


def attended(q, k, v):
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / 2
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v).reshape(*q.shape[:2], 8)


class Fused(nnx.Module):
    def __init__(self, apart, names=("joint", "last")):
        self.apart, self.names = apart, names
        setattr(self, names[0], nnx.Linear(8, 24, rngs=nnx.Rngs(0)))
        setattr(self, names[1], nnx.Linear(8, 8, rngs=nnx.Rngs(0)))

    def __call__(self, x):
        return getattr(self, self.names[1])(attended(*self.apart(getattr(self, self.names[0])(x))))


class Apart(nnx.Module):
    def __init__(self):
        self.query, self.key, self.value, self.last = (nnx.Linear(8, 8, rngs=nnx.Rngs(0)) for _ in range(4))

    def __call__(self, x):
        q, k, v = (layer(x).reshape(*x.shape[:2], HEADS, 4) for layer in (self.query, self.key, self.value))
        return self.last(attended(q, k, v))


class TorchGated(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.both, self.out = torch.nn.Linear(8, 6), torch.nn.Linear(3, 4)

    def forward(self, x):
        return self.out(glu(self.both(x)))


class Gated(nnx.Module):
    def __init__(self, gate=jax.nn.sigmoid):
        self.gate = gate
        self.up, self.down = nnx.Linear(8, 6, rngs=nnx.Rngs(0)), nnx.Linear(3, 4, rngs=nnx.Rngs(0))

    def __call__(self, x):
        gate, values = jnp.split(self.up(x), 2, -1)
        return self.down(self.gate(gate) * values)


class TorchRecurrent(torch.nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.out = kind(8, 3, batch_first=True), torch.nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


class LSTM(nnx.Module):
    """Gates in the order i, f, o, g, with one bias."""

    def __init__(self, candidate=jnp.tanh):
        self.candidate = candidate
        self.wx, self.head = nnx.Linear(8, 12, rngs=nnx.Rngs(0)), nnx.Linear(3, 2, rngs=nnx.Rngs(0))
        self.wh = nnx.Linear(3, 12, use_bias=False, rngs=nnx.Rngs(0))

    def __call__(self, x):
        h = c = jnp.zeros((len(x), 3), x.dtype)
        outputs = []
        for t in range(x.shape[1]):
            gates, candidate = jnp.split(self.wx(x[:, t]) + self.wh(h), [9], -1)
            i, f, o = jnp.split(jax.nn.sigmoid(gates), 3, -1)
            c = f * c + i * self.candidate(candidate)
            h = o * jnp.tanh(c)
            outputs.append(h)
        return self.head(jnp.stack(outputs, 1))


def found(ours, theirs):
    return map_of(NNXModel(ours), theirs, (X,), (torch.tensor(X),))


RIGHT = {
    "k, q, v of one": (lambda: Fused(kqv), TorchFused),
    "k, q, v of three": (lambda: Fused(kqv), TorchApart),
    "v, q, k of each head": (lambda: Fused(of_each_head), TorchFused),
    "v, q, k of each head, of three": (lambda: Fused(of_each_head), TorchApart),
    "of each unit": (lambda: Fused(of_each_unit), TorchFused),
    "PyTorch's of each head": (lambda: Fused(kqv), lambda: TorchFused(each=True)),
    "PyTorch's of each head, three in Flax": (Apart, lambda: TorchFused(each=True)),
    "the gate before its values": (Gated, TorchGated),
    "gates of a recurrence by hand": (LSTM, lambda: TorchRecurrent(torch.nn.LSTM)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_order_is_found_under_which_both_compute_the_same_and_weights_load_in_it(name: str):
    ours, twin = RIGHT[name][0](), RIGHT[name][1]()
    weight_map = found(ours, twin)
    assert weight_map.agrees
    loaded = load_by_map(
        ours, {f"module.{key}": tensor for key, tensor in twin.state_dict().items()}, weight_map.leaves
    )
    np.testing.assert_allclose(loaded(jnp.asarray(X)), twin(torch.tensor(X)).detach(), atol=1e-5)


WRONG = {
    "keys for values": (lambda: Fused(keys_as_values), TorchFused),
    "keys for values, of three": (lambda: Fused(keys_as_values), TorchApart),
    "another gate": (lambda: Gated(jnp.tanh), TorchGated),
    "another candidate": (lambda: LSTM(jax.nn.sigmoid), lambda: TorchRecurrent(torch.nn.LSTM)),
}


@pytest.mark.parametrize("name", WRONG)
def test_control_no_order_makes_a_mistake_right(name: str):
    ours, theirs = WRONG[name]
    assert not found(ours(), theirs()).agrees


def checked(ours, theirs, **options):
    return parity.check(ours, theirs, X, steps=1, tiers=("float64",), **options)


def test_a_fused_layer_in_another_order_passes_and_the_order_is_told(tmp_path):
    result = checked(Fused(of_each_head), TorchFused())
    result.raise_if_failed()
    parts = ", ".join(f"qkv.weight[rows {rows}]" for rows in ("8 to 16", "16 to 24", "0 to 8"))
    told = f"joint.kernel: compared as {parts}, in turn, in 2 blocks"
    assert any(told in note for note in result.notes), result.notes
    parity.save_map(result.weights, tmp_path / "map.json")
    checked(Fused(of_each_head), TorchFused(), weights=tmp_path / "map.json").raise_if_failed()


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_right_orders_pass(name: str):
    ours, theirs = RIGHT[name]
    checked(ours(), theirs()).raise_if_failed()


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_control_mistakes_fail(name: str):
    ours, theirs = WRONG[name]
    assert checked(ours(), theirs()).status == "fail"


def test_control_names_that_agree_are_the_map_whatever_the_order():
    result = checked(Fused(kqv, names=("qkv", "out")), TorchFused())
    assert result.status == "fail"
    assert result.blame and "order (1, 0, 2)" in str(result.blame)
    assert not isinstance(result.weights, Cut)


def test_a_tensor_in_blocks_is_joined_again():
    from d2l_jax.weights.leaf import rows_joined, rows_of

    x = np.arange(24).reshape(12, 2)
    parts = [((4, 6, 6), rows_of(x, (4, 6, 6))), ((0, 4, 6), rows_of(x, (0, 4, 6)))]
    assert parts[0][1].tolist() == [[8, 9], [10, 11], [20, 21], [22, 23]]
    np.testing.assert_array_equal(rows_joined(parts), x)
