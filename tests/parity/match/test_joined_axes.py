"""Weights of which Flax has heads and features as two axes, without a layer of its own; experts of other tokens."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.match.flax_layers import Variable
from parity.match.kernels import ways

X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


class Heads(nnx.Module):
    def __init__(self, rngs, turned=False):
        self.projection = nnx.Param(jax.random.normal(rngs.params(), (5, 3, 2)))
        self.turned = turned

    def __call__(self, x):
        y = jnp.einsum("bi,iho->bho", x, self.projection[...])
        return jnp.swapaxes(y, 1, 2).reshape(len(x), -1) if self.turned else y.reshape(len(x), -1)


class TorchHeads(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = torch.nn.Linear(5, 6, bias=False)

    def forward(self, x):
        return self.lin(x) ** 1


def test_heads_and_features_of_a_parameter_are_one_axis_in_pytorch():
    result = parity.check(Heads(nnx.Rngs(0)), TorchHeads(), X, steps=1, tiers=("float64",))
    result.raise_if_failed()
    assert result.weights[0].axes == (1, 2, 0)


def test_another_order_of_the_two_in_what_is_computed_is_a_mistake():
    result = parity.check(Heads(nnx.Rngs(0), turned=True), TorchHeads(), X, steps=1, tiers=("float64",))
    assert result.blame and "flattened from (2, 3) in Flax, from (3, 2) in PyTorch" in result.blame.text


class Attention(nnx.Module):
    """Heads by hand, with all weights in one module; `width` may be the product of heads and features."""

    def __init__(self, width, heads, features, rngs):
        draw = nnx.initializers.lecun_normal()
        for name in ("wq", "wk", "wv"):
            setattr(self, name, nnx.Param(draw(rngs.params(), (width, heads, features))))
        self.wo = nnx.Param(draw(rngs.params(), (heads, features, width)))

    def __call__(self, x):
        q, k, v = (jnp.einsum("btd,dhk->bhtk", x, w[...]) for w in (self.wq, self.wk, self.wv))
        shares = jax.nn.softmax(jnp.einsum("bhtk,bhsk->bhts", q, k), -1)
        return jnp.einsum("bhtk,hkd->btd", shares @ v, self.wo[...])


class TorchAttention(torch.nn.Module):
    def __init__(self, width, heads, features):
        super().__init__()
        self.wq, self.wk, self.wv = (torch.nn.Linear(width, heads * features, bias=False) for _ in range(3))
        self.wo = torch.nn.Linear(heads * features, width, bias=False)
        self.split = (heads, features)

    def forward(self, x):
        q, k, v = (lin(x).unflatten(-1, self.split).transpose(1, 2) for lin in (self.wq, self.wk, self.wv))
        return self.wo((torch.softmax(q @ k.mT, -1) @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("sizes", [(8, 2, 3), (8, 2, 4), (8, 4, 2)])
def test_an_attention_by_hand_is_matched_by_names_and_outputs_come_first(sizes):
    x = np.random.default_rng(0).normal(size=(2, 5, sizes[0])).astype(np.float32)
    result = parity.check(Attention(*sizes, nnx.Rngs(0)), TorchAttention(*sizes), x, steps=1, tiers=("float64",))
    result.raise_if_failed()
    assert [(leaf.key, leaf.path[0], leaf.axes) for leaf in result.weights] == [
        *((f"{name}.weight", name, (1, 2, 0)) for name in ("wq", "wk", "wv")), ("wo.weight", "wo", (2, 0, 1))
    ]  # fmt: skip


def test_control_another_order_of_heads_is_a_mistake():
    class Turned(TorchAttention):
        def forward(self, x):
            q, k, v = (lin(x).unflatten(-1, self.split).transpose(1, 2) for lin in (self.wq, self.wk, self.wv))
            return self.wo((torch.softmax(q @ k.mT, -1) @ v).flip(1).transpose(1, 2).flatten(2))

    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
    assert not parity.check(Attention(8, 2, 4, nnx.Rngs(0)), Turned(8, 2, 4), x, steps=1, tiers=("float64",))


@pytest.mark.parametrize(
    "shape, stored, axes",
    [((32, 24), (4, 24, 8), (0, 2, 1)), ((24, 32), (4, 8, 24), (2, 0, 1)), ((16, 24), (1, 2, 24, 8), (0, 2, 1)),
     ((1, 6, 6), (2, 3, 6), (0, 1, 2)), ((5, 2, 3), (6, 5), (2, 0, 1))],
)  # fmt: skip
def test_heads_stand_before_their_features_in_the_first_way(shape, stored, axes):
    variable = Variable(("w",), ("w",), True, stored, jnp.float32)
    first, *others = ways("q_proj.weight", shape, variable, None)
    assert first.axes == axes and others


@pytest.mark.parametrize("inputs, window, groups, axes", [(6, 4, 6, [(1, 0)]), (2, 2, 1, [])])
def test_a_kernel_by_hand_of_one_window_for_each_channel_has_the_channels_last(inputs, window, groups, axes):
    variable = Variable(("kernel",), ("kernel",), True, (4, 6), np.float32)
    conv = torch.nn.Conv1d(inputs, 6, window, groups=groups, device="meta")
    assert [leaf.axes for leaf in ways("conv.weight", tuple(conv.weight.shape), variable, conv)] == axes


@pytest.mark.parametrize(
    "shape, stored, axes", [((12, 5), (2, 5, 6), [(0, 2, 1)]), ((5, 12), (5, 2, 6), []), ((12, 5), (2, 6, 5), [])]
)
def test_a_kernel_of_several_parts_has_the_inputs_behind_them(shape, stored, axes):
    variable = Variable(("kernel",), ("kernel",), True, stored, np.float32)
    dense = torch.nn.Linear(*shape[::-1], device="meta")
    assert [leaf.axes for leaf in ways("kv.weight", shape, variable, dense)] == axes


@pytest.mark.parametrize(("shape", "stored"), [((6, 5), (5, 3, 3)), ((6, 5), (5, 6, 1, 2)), ((4, 9), (2, 3, 6))])
def test_other_sizes_are_no_map(shape, stored):
    variable = Variable(("w",), ("w",), True, stored, np.float32)
    assert ways("lin.weight", shape, variable, None) == []


class Experts(nnx.Module):
    """Each expert sees its own tokens alone, PyTorch's all of them."""

    def __init__(self, rngs):
        self.gate = nnx.Linear(5, 2, rngs=rngs)
        self.experts = nnx.List([nnx.Linear(5, 3, rngs=rngs) for _ in range(2)])

    def __call__(self, x):
        chosen = jax.nn.one_hot(jnp.argmax(self.gate(x), -1), 2, dtype=x.dtype)
        place = jax.nn.one_hot((jnp.cumsum(chosen, 0) * chosen).astype(int) - 1, 3, dtype=x.dtype)
        y = jnp.stack([expert(place[:, n].T @ x) for n, expert in enumerate(self.experts)])
        return jnp.einsum("bec,ecd->bd", place, y)


class TorchExperts(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = torch.nn.Linear(5, 2)
        self.experts = torch.nn.ModuleList([torch.nn.Linear(5, 3) for _ in range(2)])

    def forward(self, x):
        chosen = torch.nn.functional.one_hot(self.gate(x).argmax(-1), 2)
        keep = (chosen.cumsum(0) <= 3) * chosen
        return sum(keep[:, n, None].to(x.dtype) * expert(x) for n, expert in enumerate(self.experts))


def test_experts_that_see_some_tokens_alone_have_their_partners():
    parity.check(Experts(nnx.Rngs(0)), TorchExperts(), X, steps=1, tiers=("float64",)).raise_if_failed()
