"""Attention without some of its keys, a bias before an aggregation, sums by numbers, a weight's norm elsewhere."""

import copy

import numpy as np
import pytest
import torch
from planting import seeded
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from parity.blame.diagnosis import explain_layer

X = np.random.default_rng(0).normal(size=(2, 8, 6))
NAMES = "keys-left-out", "added-before", "set-for-add"
GRAPH = torch.as_tensor(np.abs(np.random.default_rng(1).normal(size=(8, 8))))


class Body(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body
        self.first, self.second = (seeded(nn.Linear(6, 6)).double() for _ in range(2))

    def forward(self, x):
        return self.body(self, x)


def attended(first=None, last=None, of_one_function=False, beside=0):
    """Attention whose keys begin or end there, of the inputs and some of the queries beside them."""

    def body(m, x):
        query = m.first(x)
        key = torch.cat([m.second(x), query[:, :beside]], 1) if beside else m.second(x)
        key = key[:, first:last] if first or last else key
        if of_one_function:
            return F.scaled_dot_product_attention(query, key, key)
        return (query @ key.mT).softmax(dim=-1) @ key

    return body


def aggregated(early, other=0.0):
    def body(m, x):
        y, bias = x @ m.first.weight, m.first.bias + other
        return torch.matmul(GRAPH, y + bias) if early else torch.matmul(GRAPH, y) + bias

    return body


def scattered(written, listed=False):
    """Sums of rows by numbers, the row that is written last, or the first."""
    numbers = torch.tensor([0, 2, 2, 1, 3, 3, 0, 2])

    def body(m, x):
        rows = m.first(x)
        if written is None:
            nodes = torch.zeros(2, 4, 6, dtype=x.dtype)
            same = numbers[None, :, None].expand_as(rows)
            return nodes.index_add(1, numbers, rows) if listed else nodes.scatter_add(1, same, rows)
        kept = [max(at for at in range(8) if numbers[at] == n) if written else list(numbers).index(n) for n in range(4)]
        return rows[:, kept]

    return body


@pytest.mark.parametrize(
    "theirs, ours, text",
    [
        (attended(), attended(1), "leaves out the first of 8 keys"),
        (attended(), attended(last=7), "leaves out the last of 8 keys"),
        (attended(of_one_function=True), attended(1, of_one_function=True), "leaves out the first of 8 keys"),
        (attended(beside=3), attended(), "leaves out the last 3 of 11 keys"),
        (attended(beside=3), attended(8, beside=3), "leaves out the first 8 of 11 keys"),
        (aggregated(False), aggregated(True), "adds the second term of a sum before a product of matrices"),
        (scattered(None), scattered(True), "of which the last stays"),
        (scattered(None, listed=True), scattered(True), "of which the last stays"),
        (scattered(None), scattered(False), ""),
        (attended(), attended(3), ""),
        (aggregated(False), aggregated(True, other=0.5), ""),
    ],
)
def test_what_attention_leaves_out_or_is_added_early_is_named(theirs, ours, text):
    with torch.no_grad():
        flax = Body(ours)(torch.as_tensor(X)).numpy()
    cause = explain_layer(Body(theirs), (X,), {}, flax, training=False)
    assert (cause is not None and cause.name in NAMES) == bool(text), cause
    assert not text or cause and text in cause.text


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("norm", [parametrizations.weight_norm, torch.nn.utils.weight_norm])
@pytest.mark.parametrize("axes, text", [((0, 1), "of the whole"), ((0,), "for each index of axis 1"), (None, "")])
def test_another_axis_of_a_weights_norm_is_named(norm, axes, text):
    layer = seeded(nn.Linear(6, 5)).double()
    with torch.no_grad():
        scale = torch.arange(1.0, 6.0).double()[:, None]
        whole = layer.weight.clone()
        size = torch.linalg.vector_norm(whole, dim=axes, keepdim=True) if axes else whole.abs().sum(1, keepdim=True)
        flax = F.linear(torch.as_tensor(X), whole / size * scale, layer.bias).numpy()
        layer = norm(layer)
        sizes = layer.parametrizations.weight.original0 if hasattr(layer, "parametrizations") else layer.weight_g
        sizes.copy_(scale)
    cause = explain_layer(layer, (X,), {}, flax, training=False)
    assert (cause is not None and cause.name == "weight-norm-axis") == bool(text), cause
    assert not text or cause and f"its norm {text}, PyTorch by that for each index of axis 0" in cause.text


@pytest.mark.parametrize("norm", [torch.nn.utils.spectral_norm, parametrizations.spectral_norm])
@pytest.mark.parametrize(
    ("steps", "turned", "name"), [(2, False, "power-iterations"), (1, True, "transposed"), (4, False, None)]
)
def test_power_iterations_of_spectral_norm(norm, steps, turned, name):
    torch.manual_seed(0)
    module = norm(nn.Linear(4, 4).double()).train()
    x = torch.randn(3, 4, dtype=torch.float64)
    flax = copy.deepcopy(module)
    for _ in range(steps - 1):  # each takes one
        flax(x)
    flax(x)
    weight = flax.eval().weight.detach()
    output = F.linear(x, weight.T if turned else weight, module.bias.detach())
    cause = explain_layer(module, (x,), {}, output.numpy(), training=True)
    assert (cause and cause.name) == name
