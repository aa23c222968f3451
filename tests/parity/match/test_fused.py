"""Dense layers that PyTorch fuses, in a hand-written attention most of all, are matched with Flax's single ones."""

import jax
import numpy as np
import optax
import pytest
import torch
from flax import linen

import parity
from parity.match import map_of
from parity.models.linen_model import LinenModel

TOKENS = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)


class Block(linen.Module):
    """A block with Flax's own attention, whose projections are three layers."""

    scale: float = 1.0

    @linen.compact
    def __call__(self, x):
        y = linen.MultiHeadDotProductAttention(num_heads=2)(linen.LayerNorm(epsilon=1e-5)(x) * self.scale)
        return x + y


class Blocks(linen.Module):
    scale: float = 1.0

    @linen.compact
    def __call__(self, x):
        return Block(self.scale)(Block()(x))


class TorchAttention(torch.nn.Module):
    """Attention as published vision transformers have it, with one dense layer for all three."""

    def __init__(self):
        super().__init__()
        self.qkv = torch.nn.Linear(8, 24)
        self.proj = torch.nn.Linear(8, 8)

    def forward(self, x):
        batch, length, width = x.shape
        query, key, value = self.qkv(x).reshape(batch, length, 3, 2, 4).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-2, -1) * 4**-0.5).softmax(-1)
        return self.proj((weights @ value).transpose(1, 2).reshape(batch, length, width))


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(8)
        self.attn = TorchAttention()

    def forward(self, x):
        return x + self.attn(self.norm(x))


class Gated(linen.Module):
    """A gated layer whose halves are two layers."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(6, name="value")(x) * linen.sigmoid(linen.Dense(6, name="gate")(x))


class TorchGated(torch.nn.Module):
    def __init__(self, swapped=False):
        super().__init__()
        self.both = torch.nn.Linear(8, 12)
        self.swapped = swapped

    def forward(self, x):
        first, second = self.both(x).chunk(2, -1)
        return second * torch.sigmoid(first) if self.swapped else first * torch.sigmoid(second)


class Modulated(linen.Module):
    """Blocks that are all given the same condition, each by three layers; the last is scaled by a gate."""

    turns: tuple = ((2, 1, 0), (2, 1, 0))  # which part of PyTorch's each layer is, in the order of calls
    activation: callable = jax.nn.tanh

    @linen.compact
    def __call__(self, x):
        condition, x = linen.Dense(6)(x), linen.Dense(4)(x)
        for turn in self.turns:
            made = {part: linen.Dense(4)(condition) for part in turn}
            x = x + made[2] * self.activation(linen.Dense(4)(x * made[1] + made[0]))
        return x


class TorchModulated(torch.nn.Module):
    def __init__(self, blocks=2):
        super().__init__()
        self.condition, self.start = torch.nn.Linear(8, 6), torch.nn.Linear(8, 4)
        self.modulations = torch.nn.ModuleList(torch.nn.Linear(6, 12) for _ in range(blocks))
        self.layers = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(blocks))

    def forward(self, x):
        condition, x = self.condition(x), self.start(x)
        for modulation, layer in zip(self.modulations, self.layers):
            shift, scale, gate = modulation(condition).chunk(3, -1)
            x = x + gate * layer(x * scale + shift).tanh()
        return x


def check(ours, theirs):
    return parity.check(ours, theirs, TOKENS, steps=1, tiers=("float64",))


def rows(result):
    return {leaf.path[-2]: leaf.rows for leaf in result.weights if leaf.path[-1] == "kernel" and leaf.rows}


@pytest.mark.parametrize("scale, status", [(1.0, "pass"), pytest.param(1.5, "fail", marks=pytest.mark.slow)])
def test_query_key_and_value_are_parts_of_one_layer(scale, status):
    result = check(Blocks(scale), torch.nn.Sequential(TorchBlock(), TorchBlock()))
    assert result.status == status
    assert rows(result) == {"query": (0, 8), "key": (8, 16), "value": (16, 24)}


@pytest.mark.slow
@pytest.mark.parametrize("rate, status", [(1e-3, "pass"), (1.1e-3, "fail")])
def test_biases_of_keys_that_have_no_gradient_are_no_false_alarm(rate, status):
    adam = optax.adam(rate), lambda parameters: torch.optim.Adam(parameters, 1e-3)
    result = parity.check(Block(), TorchBlock(), TOKENS, optimizer=adam, steps=1)
    assert result.status == status


@pytest.mark.parametrize("swapped", [False, True])
def test_the_right_half_is_the_gate(swapped):
    result = check(Gated(), TorchGated(swapped))
    assert result.status == "pass"
    assert rows(result) == ({"value": (6, 12), "gate": (0, 6)} if swapped else {"value": (0, 6), "gate": (6, 12)})


@pytest.mark.parametrize(
    "activation, blocks, agrees",
    [
        (jax.nn.tanh, 2, True),
        (jax.nn.sigmoid, 1, False),
        pytest.param(jax.nn.sigmoid, 2, False, marks=pytest.mark.slow),
    ],
)
def test_parts_that_blocks_share_the_input_of_are_found_in_any_order(activation, blocks, agrees):
    ours, theirs, x = Modulated(((2, 1, 0),) * blocks, activation), TorchModulated(blocks), TOKENS[0]
    found = map_of(LinenModel(ours, ours.init(jax.random.key(0), x)), theirs, (x,), (torch.tensor(x),))
    assert found.agrees == agrees
    if agrees:
        assert [leaf.rows for leaf in found.leaves if leaf.key == "modulations.1.weight"] == [(0, 4), (4, 8), (8, 12)]
        assert len([leaf for leaf in found.leaves if leaf.rows]) == 12
