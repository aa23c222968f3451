"""Functions that are right, of other tensors than in PyTorch: another term, another gate, padding that is counted."""

import numpy as np
import pytest
import torch
from planting import normal, seeded
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from parity.blame.diagnosis import explain_layer, explain_loss

X = normal(3, 6, 4)
MASK = torch.arange(6)[None] < torch.tensor([6, 2, 4])[:, None]
EDGES = torch.tensor([[0, 3, 1, 1], [2, 4, 0, 5]])


class Layers(nn.Module):
    """A module with two layers, of which the body says what becomes of them."""

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.first = nn.Linear(4, 6)
        self.second = nn.Linear(4, 6)
        self.other = nn.Linear(4, 4)
        self.square = nn.Linear(6, 6)
        self.scale = nn.Parameter(torch.ones(6))
        self.convolution = nn.Conv1d(4, 5, 3, padding=2)
        self.further = nn.Conv1d(5, 4, 3, padding=4, dilation=2)
        self.recurrent = nn.LSTM(4, 3, batch_first=True, bidirectional=True)

    def forward(self, x):
        return self.body(self, x)


def joint(whole):
    def body(m, x):
        y = torch.cat([m.first(x), m.second(x), m.first(x) * 2], -1)
        parts = y.split(6, -1) if whole else [p.flatten(-2) for p in y.unflatten(-1, (2, 3, 3)).unbind(-2)]
        return (parts[0] @ parts[1].mT).tanh() @ parts[2]

    return body


def masked_mean(divisor):
    return lambda m, x: (m.first(x) * MASK[..., None]).sum(1) / divisor


def mean_of_words(masked):
    """The mean over the words, or over all places: both sums in it as means are that, too, by the bound."""

    def body(m, x):
        mask = MASK[..., None].to(x.dtype)
        return (m.first(x) * mask).sum(1) / mask.sum(1).clamp(min=1) if masked else (m.first(x) * mask).mean(1)

    return body


def messages(ends):
    return lambda m, x: torch.zeros_like(x).index_add(1, EDGES[ends[1]], x[:, EDGES[ends[0]]])


def nodes(mean):
    """The mean of the messages to each node, or their sum."""

    to = torch.tensor([2, 4, 2, 2])

    def body(m, x):
        y = m.first(x)
        counts = x.new_zeros(6).index_add(0, to, x.new_ones(4))
        return torch.zeros_like(y).index_add(1, to, y[:, :4]) / (counts.clamp(min=1)[:, None] if mean else 1)

    return body


def last_states(forward_after_padding):
    def body(m, x):
        packed = pack_padded_sequence(x, torch.tensor([6, 2, 4]), batch_first=True, enforce_sorted=False)
        ahead, back = m.recurrent(packed)[1][0]
        return torch.cat([m.recurrent(x)[1][0][0] if forward_after_padding else ahead, back], -1)

    return body


def incoming(turned):
    """Edges to one node; two of the axes are nodes, as in a triangle of AlphaFold's."""

    def body(m, x):
        pairs = m.first(x)[:, :, None] * m.second(x)[:, None]
        y = torch.einsum("bkic,bkjc->bijc", pairs, pairs.sin())
        return y.transpose(1, 2) if turned else y

    return body


def outgoing(turned):
    def body(m, x):
        pairs = m.first(x)[:, :, None] * m.second(x)[:, None]
        return torch.einsum("bikc,bjkc->bijc", pairs.transpose(1, 2) if turned else pairs, pairs.sin())

    return body


def shifted(*axes):
    """The exponential without its largest, over some of the axes."""
    return lambda m, x: (m.first(x) - m.first(x).amax(axes, keepdim=True)).exp()


def symmetric(x):
    return torch.cat([x[..., 1:2], x[..., :1], x, x[..., -1:], x[..., -2:-1]], -1)


# cause, the place, PyTorch's body, Flax's
BODIES = [
    (
        "gate-exchanged",
        "",
        lambda m, x: F.silu(m.first(x)) * m.second(x),
        lambda m, x: m.first(x) * F.silu(m.second(x)),
    ),
    ("qkv-by-heads", "", joint(True), joint(False)),
    ("wiring", "", lambda m, x: m.first(x) + m.square(m.second(x)), lambda m, x: m.second(x) + m.square(m.second(x))),
    (
        "scale-over-sum",
        "",
        lambda m, x: m.first(x) + (m.scale * m.second(x)),
        lambda m, x: m.scale * (m.first(x) + m.second(x)),
    ),
    ("padding-counted", "", masked_mean(MASK.sum(1, keepdim=True)), masked_mean(6)),
    ("padding-counted", "", mean_of_words(True), mean_of_words(False)),
    (
        "padding-counted",
        "",
        lambda m, x: m.first(x)[torch.arange(3), MASK.sum(1) - 1],
        lambda m, x: m.first(x)[:, -1],
    ),
    ("padding-counted", "recurrent", last_states(False), last_states(True)),
    ("ends-exchanged", "", messages((0, 1)), messages((1, 0))),
    (
        "flatten-order",
        "",
        lambda m, x: m.first(x).flatten(1).view(-1, 3, 4, 3),
        lambda m, x: m.first(x).flatten(1).view(-1, 4, 3, 3).movedim(-1, 1),
    ),
    ("gate-exchanged", "", lambda m, x: F.glu(m.first(x)), lambda m, x: F.glu(m.first(x).roll(3, -1))),
    ("eps", "", lambda m, x: F.pairwise_distance(x, m.other(x)), lambda m, x: (x - m.other(x)).norm(dim=-1)),
    ("root-missing", "", lambda m, x: (1 + m.first(x).sin()).sqrt(), lambda m, x: 1 + m.first(x).sin()),
    ("power-missing", "", lambda m, x: m.first(x) ** 2, lambda m, x: m.first(x)),
    (
        "term-missing",
        "",
        lambda m, x: m.first(x).exp() - m.first(x) - 1,
        lambda m, x: -m.first(x),
    ),
    ("term-missing", "", lambda m, x: m.first(x) + m.second(x) + x.mean(), lambda m, x: m.second(x)),
    ("mean-for-sum", "", masked_mean(1), masked_mean(MASK.sum(1, keepdim=True))),
    ("factor-missing", "", nodes(True), nodes(False)),
    ("padding-mode", "", lambda m, x: F.pad(m.first(x), (2, 2), mode="reflect"), lambda m, x: symmetric(m.first(x))),
    ("transposed", "", incoming(False), incoming(True)),
    ("transposed", "", outgoing(False), outgoing(True)),
    ("axis", "", shifted(-1, -2), shifted(-1)),
    ("axis", "", shifted(-1), shifted(-1, -2)),
    (
        "causal-padding",
        "convolution",
        lambda m, x: m.further(m.convolution(x.mT)[:, :, :-2])[:, :, :-4],
        lambda m, x: m.further(m.convolution(x.mT)[..., 1:-1])[..., 2:-2],
    ),
]  # fmt: skip


@pytest.mark.parametrize("cause, part, body, other", BODIES, ids=[f"{i}-{b[0]}" for i, b in enumerate(BODIES)])
def test_another_tensor_in_a_function_is_named(cause, part, body, other):
    right, wrong = seeded(Layers(body)), Layers(other)
    wrong.double().load_state_dict(right.state_dict())
    flax = wrong(torch.as_tensor(X)).detach().numpy()
    named = explain_layer(right, (X,), {}, flax, training=False)
    assert named is not None and (named.name, named.part) == (cause, part), named
    same = right(torch.as_tensor(X)).detach().numpy()
    assert explain_layer(right, (X,), {}, same, training=False) is None


def test_a_sum_of_what_no_layer_returns_has_no_cause():
    right, wrong = seeded(Layers(BODIES[2][2])), Layers(lambda m, x: m.second(x).sin() + m.square(m.second(x)).exp())
    wrong.double().load_state_dict(right.state_dict())
    flax = wrong(torch.as_tensor(X)).detach().numpy()
    assert explain_layer(right, (X,), {}, flax, training=False) is None


def test_control_a_product_of_other_numbers_is_not_one_of_other_axes():
    right = seeded(Layers(incoming(False)))
    wrong = Layers(lambda m, x: incoming(True)(m, x).tanh())
    wrong.double().load_state_dict(right.state_dict())
    assert explain_layer(right, (X,), {}, wrong(torch.as_tensor(X)).detach().numpy(), training=False) is None


def clip(x, y):
    targets = torch.arange(len(x))
    return (F.cross_entropy(x, targets) + F.cross_entropy(x.mT, targets)) / 2


def dice(eps):
    def loss(x, y):
        p = x.sigmoid()
        return 1 - (2 * p.diagonal().sum() + eps) / (p.sum() + len(x) + eps)

    return loss


def ctc(reduction):
    def loss(x, y):
        lengths = torch.full((4,), 6), torch.tensor([2, 3, 1, 3])
        targets = torch.tensor([[1, 2, 0], [2, 2, 1], [1, 0, 0], [1, 2, 1]])
        return F.ctc_loss(x.log_softmax(-1).transpose(0, 1), targets, *lengths, reduction=reduction)

    return loss


@pytest.mark.parametrize(
    "cause, loss, other, shape",
    [
        ("one-of-two", clip, lambda x, y: F.cross_entropy(x, torch.arange(len(x))), (5, 5)),
        ("eps", dice(1.0), dice(1e-6), (5, 5)),
        ("ctc-lengths", ctc("mean"), lambda x, y: ctc("none")(x, y).mean(), (4, 6, 3)),
        ("reduction", ctc("mean"), lambda x, y: ctc("none")(x, y).sum(), (4, 6, 3)),
    ],
)
def test_a_loss_of_several_parts_is_named(cause, loss, other, shape):
    x = torch.tensor(normal(*shape), requires_grad=True)
    value = other(x, x)
    (gradient,) = torch.autograd.grad(value, x)
    named = explain_loss(loss, x.detach().numpy(), np.zeros(shape), float(value.detach()), gradient.numpy())
    assert named is not None and named.name == cause, named
