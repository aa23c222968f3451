"""Mistakes of sequence models, planted in PyTorch's own modules: each is named, and the right module is not blamed."""

import numpy as np
import pytest
import torch
from planting import normal, seeded
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis import explain_layer, explain_loss
from parity.models.random_numbers_torch import ImposedOnTorch

X = normal(2, 5, 8)


class Written(nn.Module):
    """A module whose body is a function of its own."""

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.linear = seeded(nn.Linear(8, 8))

    def forward(self, x):
        return self.body(self, x)


def fused(**options):
    def body(m, x):
        q = m.linear(x).unflatten(-1, (2, 4)).transpose(1, 2)
        return F.scaled_dot_product_attention(q, q, x.unflatten(-1, (2, 4)).transpose(1, 2), **options)

    return body


def grouped(repeat):
    def body(m, x):
        q = m.linear(x).unflatten(-1, (4, 2)).transpose(1, 2)
        k, v = (repeat(m.linear(x)[..., part].unflatten(-1, (2, 2)).transpose(1, 2)) for part in PARTS)
        return (q @ k.transpose(-1, -2)).softmax(-1) @ v

    return body


def slopes(start):
    def body(m, x):
        factors = 2.0 ** torch.arange(start, start + 8).to(x)
        return (m.linear(x).softmax(-1) * factors).cumsum(-1).tanh()

    return body


def heads(split):
    """Attention whose output is joined as it was split."""

    def body(m, x):
        q, k = split(m.linear(x)).transpose(1, 2), split(m.linear(x).tanh()).transpose(1, 2)
        y = ((q @ k.mT).softmax(-1) @ split(x).transpose(1, 2)).transpose(1, 2)
        blocks = split(torch.arange(8.0)).flatten().argsort()
        return y.reshape(x.shape) if (blocks == torch.arange(8)).all() else y.mT.reshape(x.shape)

    return body


def gated(gates):
    return lambda m, x: gates(m.linear(x)) * x[..., :2]


PARTS = (slice(0, 4), slice(4, 8))
OFF_BY_ONE = torch.ones(5, 5, dtype=torch.bool).tril(1)
BODIES = {
    "mask-diagonal": (fused(is_causal=True), fused(attn_mask=OFF_BY_ONE)),
    "attention-scale": (lambda m, x: m.linear(x) @ x.mT, lambda m, x: m.linear(x) @ x.mT * 8**-0.5),
    "repeat-order": (grouped(lambda k: k.repeat_interleave(2, 1)), grouped(lambda k: k.repeat(1, 2, 1, 1))),
    "causal-padding": (lambda m, x: F.pad(m.linear(x), (2, 0)), lambda m, x: F.pad(m.linear(x), (1, 1))),
    "heads-interleaved": (heads(lambda x: x.unflatten(-1, (2, 4))), heads(lambda x: x.unflatten(-1, (4, 2)).mT)),
    "gates-normalised": (gated(lambda w: w.topk(2)[0].softmax(-1)), gated(lambda w: w.softmax(-1).topk(2)[0])),
    "softplus": (lambda m, x: m.linear(x).exp(), lambda m, x: F.softplus(m.linear(x))),
    "offset": (slopes(1), slopes(0)),
}


@pytest.mark.parametrize("cause", BODIES)
def test_a_function_under_another_convention_is_named(cause):
    right, wrong = (Written(body) for body in BODIES[cause])
    wrong.load_state_dict(right.state_dict())
    flax = wrong.double()(torch.as_tensor(X)).detach().numpy()
    named = explain_layer(right, (X,), {}, flax, training=False)
    assert named is not None
    assert named.name == cause
    same = right.double()(torch.as_tensor(X)).detach().numpy()
    assert explain_layer(right, (X,), {}, same, training=False) is None


def test_gates_that_are_normalised_in_flax_alone_are_named():
    right, wrong = Written(BODIES["gates-normalised"][1]), Written(BODIES["gates-normalised"][0])
    wrong.load_state_dict(right.state_dict())
    flax = wrong.double()(torch.as_tensor(X)).detach().numpy()
    named = explain_layer(right, (X,), {}, flax, training=False)
    assert named is not None and named.name == "gates-normalised" and "by their sum" in named.text


class Masked(nn.Module):
    def __init__(self, polarity):
        super().__init__()
        self.attention = seeded(nn.MultiheadAttention(8, 2, batch_first=True))
        self.polarity = polarity

    def forward(self, x, padding):
        return self.attention(x, x, x, key_padding_mask=padding == self.polarity, need_weights=False)[0]


def test_a_padding_mask_that_is_read_the_other_way_round_is_named():
    padding = np.arange(5) >= np.array([[3], [4]])
    right = Masked(True)
    wrong = Masked(False)
    wrong.load_state_dict(right.state_dict())
    flax = wrong.double()(torch.as_tensor(X), torch.as_tensor(padding)).detach().numpy()
    cause = explain_layer(right, (X, padding), {}, flax, training=False)
    assert cause is not None
    assert cause.name == "mask-polarity"


class Block(nn.Module):
    def __init__(self, approximate="none"):
        super().__init__()
        self.linear = seeded(nn.Linear(8, 8))
        self.dropout = nn.Dropout(0.4)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(F.gelu(self.linear(x), approximate=self.approximate))


def test_a_mistake_beside_a_dropout_is_named_on_the_numbers_that_both_were_given():
    numbers = (np.random.default_rng(0).random(X.shape),)
    right = Block()
    wrong = Block("tanh")
    wrong.load_state_dict(right.state_dict())
    with ImposedOnTorch(numbers):
        flax = wrong.double()(torch.as_tensor(X)).detach().numpy()
    cause = explain_layer(right, (X,), {}, flax, training=True, numbers=numbers)
    assert cause is not None
    assert cause.name == "gelu-tanh"
    without = explain_layer(right, (X,), {}, flax, training=True)
    assert without is None or without.name != "gelu-tanh"


def test_a_mean_over_ignored_targets_too_is_named():
    scores = normal(6, 4)
    targets = np.array([1, 0, 2, 0, 3, 1])

    def loss(x, y):
        return F.cross_entropy(x, y, ignore_index=0, label_smoothing=0.1)

    value = loss(torch.as_tensor(scores), torch.as_tensor(targets)).item()
    cause = explain_loss(loss, scores, targets, value * 4 / 6)
    assert cause is not None
    assert cause.name == "ignored-counted"
