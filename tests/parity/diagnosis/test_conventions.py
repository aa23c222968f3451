"""Conventions of attention and of recurrent layers written by hand: repeated heads, rotary shares, buckets, gates."""

import math

import pytest
import torch
from planting import normal, seeded
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis import explain_layer

pytestmark = pytest.mark.slow  # a search for a cause takes long; test_diagnosis_functions has quick ones

X = normal(3, 6, 8)
STEPS, TURNS = 6, 2


class Parts(nn.Module):
    """Layers of eight features, a table of eight rows, and a body that says what becomes of them."""

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.first, self.second, self.gates = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(8, 24)
        self.of_input = nn.Linear(8, 24)
        self.table = nn.Embedding(8, 2)
        self.weights = nn.Parameter(torch.ones(8, 24))
        self.decays = 1 - 2.0 ** (-5 - torch.arange(4.0))

    def forward(self, x):
        return self.body(self, x)


RIGHT = ["first", "second", "gates", "of_input", "table"]


def explained(theirs, ours):
    """Returns what is named of PyTorch's body where Flax has another; of the same, nothing may be."""
    right, wrong = seeded(Parts(theirs)), Parts(ours).double()
    wrong.load_state_dict(right.state_dict())
    with torch.no_grad():
        flax, same = wrong(torch.as_tensor(X)).numpy(), right(torch.as_tensor(X)).numpy()
    assert explain_layer(right, (X,), {}, same, training=False, right=RIGHT) is None
    return explain_layer(right, (X,), {}, flax, training=False, right=RIGHT)


def grouped(repeat, fused=False):
    """Four heads of queries, two of keys."""

    def body(m, x):
        query, key = (y.unflatten(-1, (-1, 2)).transpose(1, 2) for y in (m.first(x), m.second(x)))
        if fused:
            return F.scaled_dot_product_attention(query, key, key, enable_gqa=True)
        return F.scaled_dot_product_attention(query, repeat(key), repeat(key))

    return body


def expanded(x):
    return x[:, :, None].expand(-1, -1, 2, -1, -1).reshape(len(x), 4, *x.shape[2:])


def whole(x):
    return x[:, None].expand(-1, 2, -1, -1, -1).flatten(1, 2)


def first_alone(x):
    return x[:, :1].repeat(1, 4, 1, 1)


def recurrent(gated):
    """A GRU by hand; `gated` says what the reset gate does."""

    def body(m, x):
        h = torch.zeros_like(x[:, 0])
        for t in range(TURNS):
            r, z, n = m.of_input(x[:, t]).chunk(3, -1)
            r_h, z_h, n_h = m.gates(h).chunk(3, -1)
            r, z = torch.sigmoid(r + r_h), torch.sigmoid(z + z_h)
            h = (1 - z) * torch.tanh(n + gated(m, r, z, h, n_h)) + z * h
        return h

    return body


def by_gates(m, state):
    return m.gates(state)[:, 16:]


BEHIND = recurrent(lambda m, r, z, h, n_h: r * n_h)
BEFORE = recurrent(lambda m, r, z, h, n_h: by_gates(m, r * h))
OTHER_GATE = recurrent(lambda m, r, z, h, n_h: by_gates(m, z * h))
WEIGHTS_BEFORE = recurrent(lambda m, r, z, h, n_h: (r * h) @ m.weights[:, 16:] * 1.5)
WEIGHTS_BEHIND = recurrent(lambda m, r, z, h, n_h: r * (h @ m.weights[:, 16:]) * 1.5)


def decayed(decays):
    def body(m, x):
        far = torch.arange(STEPS)[:, None] - torch.arange(STEPS)
        falls = torch.where(far >= 0, decays(m).to(x)[:, None, None] ** far.clamp(min=0), x.new_zeros(()))
        return falls @ m.second(x).mT[..., None]

    return body


def buckets(rel, both, reach=16, count=8):
    first = 0
    if both:
        count //= 2
        first, rel = (rel > 0).long() * count, rel.abs()
    else:
        rel = (-rel).clamp(min=0)
    exact = count // 2
    large = exact + (torch.log(rel.clamp(min=1) / exact) / math.log(reach / exact) * (count - exact)).long()
    return first + torch.where(rel < exact, rel, large.clamp(max=count - 1))


def biased(of):
    def body(m, x):
        rel = torch.arange(STEPS)[None] - torch.arange(STEPS)[:, None]
        scores = m.first(x) @ x.mT + m.table(of(rel)).sum(-1)
        return scores.softmax(-1) @ x

    return body


def rotated(share, pairs=False, base=1e4):
    def turned(x):
        if pairs:
            return torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
        first, second = x.chunk(2, -1)
        return torch.cat([-second, first], -1)

    def rotation(x):
        angle = torch.outer(torch.arange(STEPS).double(), base ** (-torch.arange(0, share, 2).double() / share))
        angle = angle.repeat_interleave(2, -1) if pairs else torch.cat([angle, angle], -1)
        first, rest = x[..., :share], x[..., share:]
        first = first * angle.cos() + turned(first) * angle.sin()
        return torch.cat([first, rest], -1) if rest.shape[-1] else first

    def body(m, x):
        query, key = (y.unflatten(-1, (3, 8)).transpose(1, 2) for y in (m.gates(x), m.of_input(x)))
        return F.scaled_dot_product_attention(rotation(query), rotation(key), key)

    return body


def nearest(distance):
    """The codes of a table of which the distances say which is nearest."""
    return lambda m, x: m.table(distance(m.second(x).flatten(0, 1)[:, :2], m.table.weight).argmin(-1))


def products(x, codes):
    return -x @ codes.T


# cause, PyTorch's body, Flax's
BODIES = [
    ("repeat-order", grouped(expanded), grouped(whole)),
    ("repeat-order", grouped(whole), grouped(expanded)),
    ("repeat-order", grouped(None, True), grouped(whole)),
    ("reset-before", BEHIND, BEFORE),
    ("reset-after", WEIGHTS_BEFORE, WEIGHTS_BEHIND),
    ("slopes", decayed(lambda m: m.decays), decayed(lambda m: 1 - (1 - m.decays) / 2)),
    ("slopes", decayed(lambda m: m.decays), decayed(lambda m: m.decays.flip(0))),
    ("position-buckets", biased(lambda d: buckets(d, True)), biased(lambda d: buckets(d, False))),
    ("position-buckets", biased(lambda d: buckets(d, False)), biased(lambda d: buckets(d, True))),
    ("position-buckets", biased(lambda d: buckets(d, True)), biased(lambda d: buckets(-d, True))),
    ("rope-share", rotated(4), rotated(8)),
    ("rope-share", rotated(8), rotated(2)),
    ("rope-share", rotated(8, True), rotated(4, True)),
    ("norms-missing", nearest(torch.cdist), nearest(products)),
    ("norm-order", nearest(torch.cdist), nearest(lambda x, codes: torch.cdist(x, codes, 1.0))),
]  # fmt: skip


@pytest.mark.parametrize("cause, theirs, ours", BODIES, ids=[f"{i}-{b[0]}" for i, b in enumerate(BODIES)])
def test_another_convention_is_named(cause, theirs, ours):
    named = explained(theirs, ours)
    assert named is not None and named.name == cause, named


# a cause that must not be named, PyTorch's body, Flax's
NEIGHBOURS = [
    ("repeat-order", grouped(expanded), grouped(first_alone)),
    ("reset-before", BEHIND, OTHER_GATE),
    ("slopes", decayed(lambda m: m.decays), decayed(lambda m: 1 - 3.0 ** (-5 - torch.arange(4.0)))),
    ("position-buckets", biased(lambda d: buckets(d, True)), biased(lambda d: d.clamp(-3, 4) + 3)),
    ("rope-share", rotated(4), rotated(4, base=1e3)),
    ("rope-share", rotated(4), rotated(4, True)),
]  # fmt: skip


@pytest.mark.parametrize("cause, theirs, ours", NEIGHBOURS, ids=[f"{i}-{b[0]}" for i, b in enumerate(NEIGHBOURS)])
def test_control_a_neighbour_has_another_name_or_none(cause, theirs, ours):
    named = explained(theirs, ours)
    assert named is None or named.name != cause, named


class Cell(nn.Module):
    """A cell whose output gate looks at a state; `peeped` says at which."""

    def __init__(self, peeped):
        super().__init__()
        self.peeped = peeped
        self.into, self.peep = nn.Linear(8, 16), nn.Parameter(torch.ones(8))

    def forward(self, x, h, c):
        f, o = self.into(x).chunk(2, -1)
        new = torch.sigmoid(f) * c + x
        return torch.sigmoid(o + self.peep * self.peeped(new, h, c)) * new.tanh(), new


class Loop(nn.Module):
    def __init__(self, peeped):
        super().__init__()
        self.cell = Cell(peeped)

    def forward(self, x):
        h, c = x[:, 0].cos(), x[:, 0].sin()
        for t in range(TURNS):
            h, c = self.cell(x[:, t], h, c)
        return h


@pytest.mark.parametrize("other, number", [(lambda new, h, c: c, 3), (lambda new, h, c: h, 2)], ids=["c", "control: h"])
def test_the_state_that_a_cell_is_given_is_told_in_every_turn(other, number):
    right, wrong = seeded(Loop(lambda new, h, c: new)), Loop(other).double()
    wrong.load_state_dict(right.state_dict())
    flax = wrong(torch.as_tensor(X)).detach().numpy()
    named = explain_layer(right, (X,), {}, flax, training=False, right=["cell.into"])
    assert named is not None and named.name == "wiring", named
    words = f"in cell: Flax multiplies by number {number} of what cell is given, PyTorch by something else"
    assert named.text.startswith(words) and "in the 2 calls of one mul" in named.text, named
