"""Bodies: reshapes, masks, tables of waves, parts that are read and written, steps of continuous systems."""

import numpy as np
import pytest
import torch
from planting import normal, seeded
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis import explain_layer, explain_loss, explain_tensor

X = normal(3, 8, 6)
WINDOW = (torch.arange(8)[:, None] - torch.arange(8)).abs()


class Body(nn.Module):
    """Two layers of six features, and what a function makes of them."""

    def __init__(self, body, **buffers):
        super().__init__()
        self.body = body
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, x):
        return self.body(self, x)


def explained(theirs, ours):
    """Returns what is named of PyTorch's body where Flax has another; of the same, nothing may be."""
    right, wrong = (seeded_layers(body) for body in (theirs, ours))
    x = torch.as_tensor(X)
    with torch.no_grad():
        same, flax = right(x).numpy(), wrong(x).numpy()
    assert explain_layer(right, (X,), {}, same, training=False) is None
    return explain_layer(right, (X,), {}, flax, training=False)


def seeded_layers(module):
    """Puts random numbers in the layers, and leaves buffers as they are."""
    module.first, module.second = seeded(module.first), seeded(module.second)
    return module.double()


def attended(mask, low=-torch.inf):
    hidden = torch.zeros(8, 8).masked_fill(~mask, low)
    return lambda m, x: (m.first(x) @ m.second(x).mT + hidden.to(x)).softmax(-1) @ x


def within(window):
    return (torch.arange(8)[:, None] >= torch.arange(8)) & (window > WINDOW)


def heads(swapped):
    def body(m, x):
        parts = m.first(x).unflatten(-1, (2, 3))
        y = parts.transpose(1, 2).tanh()
        return (y.transpose(1, 2) if swapped else y).reshape(x.shape)

    return body


def split(swapped):
    def body(m, x):
        y = m.first(x).contiguous()  # gives back what it is given
        y = y.view(3, 8, 2, 3).transpose(1, 2) if swapped else y.reshape(3, 2, 8, 3)
        return y.cumsum(-2)

    return body


def of_parts(swapped):
    def body(m, x):
        parts = (m.first(x).tanh()).split(3, -1)
        return torch.cat(parts, -1) if swapped else torch.stack(parts, 1).reshape(x.shape)

    return body


def lowest(first, complex_too=True):
    def body(m, x):
        y = torch.fft.rfft(m.first(x), dim=1) if complex_too else m.first(x)
        part = slice(first, first + 3)
        kept = torch.zeros_like(y)
        kept[:, part] = 2 * y[:, part]
        return torch.fft.irfft(kept, dim=1) if complex_too else kept

    return body


def held(zero_order):
    def body(m, x):
        dt, rate = F.softplus(m.first(x)), -torch.arange(1.0, 5.0).to(x)
        h = 0
        for t in range(x.shape[1]):
            z = dt[:, t, :, None] * rate
            decay = torch.exp(z)
            fed = torch.expm1(z) / rate * x[:, t, :, None] if zero_order else dt[:, t, :, None] * x[:, t, :, None]
            h = decay * h + fed * torch.ones(4).to(x)
        return h.sum(-1)

    return body


def held_at_once(zero_order):
    def body(m, x):
        dt, rate = F.softplus(m.first(x)), -torch.arange(1.0, 5.0).to(x)
        decay = torch.exp(torch.einsum("btd,n->btdn", dt, rate))
        fed = (decay - 1) / rate if zero_order else torch.einsum("btd,n->btdn", dt, torch.ones(4).to(x))
        return (decay * fed * x[..., None]).sum(-1)

    return body


def counted(parts):
    return lambda m, x: torch.cat([part.cumsum(1) for part in m.first(x).chunk(parts, 1)], 1)


def waves(*transforms):
    def body(m, x):
        y = m.first(x)
        for axis, options in transforms:
            y = torch.fft.fft(y, dim=axis, **options)
        return y.real

    return body


MASKED = within(3)
# cause, PyTorch's body, Flax's
BODIES = [
    ("mask-diagonal", attended(MASKED), attended(within(4))),
    ("mask-diagonal", attended(MASKED, -1e9), attended(within(2), -1e9)),
    ("mask-diagonal", attended(MASKED), attended(MASKED | torch.eye(8).bool().roll(1, -1).triu(1))),
    ("mask-transposed", attended(MASKED), attended(MASKED.mT)),
    ("mask-missing", attended(MASKED), attended(MASKED | True)),
    ("transpose-missing", heads(True), heads(False)),
    ("transpose-missing", split(True), split(False)),
    ("join-axis", of_parts(True), of_parts(False)),
    ("slice", lowest(0), lowest(1)),
    ("slice", lowest(0, False), lowest(2, False)),
    ("zero-order-hold", held(False), held(True)),
    ("zero-order-hold", held_at_once(True), held_at_once(False)),
    ("running-anew", counted(1), counted(2)),
    ("transform-missing", waves((2, {}), (1, {})), waves((2, {}))),
    ("transform-norm", waves((1, {})), waves((1, {"norm": "ortho"}))),
    ("transform-axis", waves((2, {})), waves((1, {}))),
    ("division-floored", lambda m, x: m.first(x) / (torch.tensor(5) // 2), lambda m, x: m.first(x) / 2.5),
]  # fmt: skip


@pytest.mark.parametrize("cause, theirs, ours", BODIES, ids=[f"{i}-{b[0]}" for i, b in enumerate(BODIES)])
def test_another_function_of_the_body_is_named(cause, theirs, ours):
    named = explained(Body(theirs), Body(ours))
    assert named is not None and named.name == cause, named


def rotated(base, n=3, waves=3, dtype=torch.float32):
    """Queries and keys that are rotated by a table which was made beforehand."""
    angles = torch.outer(torch.arange(12).float(), base ** (-torch.arange(waves) / n))
    table = torch.polar(torch.ones_like(angles), angles).to(dtype) if dtype.is_complex else angles.cos()

    def turn(m, y):
        return torch.view_as_real(torch.view_as_complex(y.unflatten(-1, (3, 2))) * m.table[:8]).flatten(-2)

    def body(m, x):
        if dtype.is_complex:
            return (turn(m, m.first(x)) @ turn(m, m.second(x)).mT) @ x
        return torch.cat([m.first(x) * m.table[:8], m.second(x)], -1)

    return Body(body, table=table)


def positions(base=1e4, start=0, paired=True, turned=False):
    """A table of positions, which a float32 program has made."""
    angles = np.arange(start, start + 12)[:, None] * base ** (-np.arange(3) / 3)
    sines = [np.cos(angles), np.sin(angles)][:: 1 if turned else -1]
    table = np.stack(sines, -1).reshape(12, 6) if paired else np.concatenate(sines, -1)
    return Body(lambda m, x: m.first(x + m.table[None, :8]).tanh(), table=torch.as_tensor(table.astype(np.float32)))


C = torch.complex64
TABLES = [
    ("frequencies", "base 500000, PyTorch's 10000", rotated(1e4, dtype=C), rotated(5e5, dtype=C)),
    ("frequencies", "the power of -i / (6 - 1)", rotated(1e4, 6, 6), rotated(1e4, 5, 6)),
    ("frequencies", "base 100, PyTorch's 10000", positions(), positions(1e2)),
    ("offset", "start at position 1", positions(), positions(start=1)),
    ("wave-order", "in two halves, PyTorch column by column", positions(), positions(paired=False)),
    ("sine-and-cosine", "cosines where PyTorch has sines", positions(), positions(turned=True)),
]  # fmt: skip


@pytest.mark.parametrize("cause, text, theirs, ours", TABLES, ids=[f"{i}-{t[0]}" for i, t in enumerate(TABLES)])
def test_another_table_of_waves_is_named(cause, text, theirs, ours):
    named = explained(theirs, ours)
    assert named is not None and named.name == cause and text in named.text, named


def test_control_of_a_table_that_is_no_waves_nothing_is_said():
    other = positions()
    other.table *= torch.linspace(1, 2, 6)
    named = explained(positions(), other)
    assert named is None or named.name not in ("frequencies", "offset", "wave-order", "sine-and-cosine"), named


def frequencies(base, n):
    def body(m, x):
        waves = base ** (-torch.arange(6).to(x) / n)
        return torch.sin(m.first(x) * waves)

    return body


@pytest.mark.parametrize("base, n, text", [(1e5, 6, "base 100000"), (1e4, 5, "-i / (6 - 1)")])
def test_other_frequencies_of_the_body_are_named(base, n, text):
    named = explained(Body(frequencies(1e4, 6)), Body(frequencies(base, n)))
    assert named is not None and named.name == "frequencies" and text in named.text, named


@pytest.mark.slow
def test_a_factor_is_of_dropout_only_where_something_drops():
    assert explain_tensor(X, 0.8 * X).name == "dropout-scale"
    named = explain_tensor(X, 0.8 * X, drops=False)
    assert (named.name, named.text) == ("scale", "Flax is 0.8 times PyTorch")
    body = seeded_layers(Body(lambda m, x: m.first(x).tanh().roll(1, -1)))
    y = body(torch.as_tensor(X)).detach().numpy()
    assert explain_layer(body, (X,), {}, 0.8 * y, training=False).name == "scale"


def stepped(last):
    """Four steps, of which the last may be of another length."""

    def body(m, x):
        for i in range(4):
            x = x + m.first(x).tanh() * (last if i == 3 else 0.25)
        return x

    return Body(body)


def gated(factor):
    return Body(lambda m, x: m.first(x) * m.second(x).sigmoid() * factor if factor != 1 else _gate(m, x))


def of_length(length):
    """Divides by a norm, to which a number is added that could be another as well, but none that anybody writes."""
    return Body(lambda m, x: m.first(x) * (length / (m.first(x).norm() + 1e-12)))


def _gate(m, x):
    return m.first(x) * m.second(x).sigmoid()


@pytest.mark.parametrize(
    "theirs, ours, cause, text",
    [
        (stepped(0.25), stepped(0.1), "constant", "computes with 0.1 where PyTorch has 0.25 (in 1 calls of mul)"),
        (gated(1), gated(1.7), "scale", "multiplies by 1.7 what PyTorch's mul gives"),
        (of_length(0.05), of_length(0.02), "constant", "computes with 0.02 where PyTorch has 0.05"),
    ],
)
def test_another_number_of_one_call_is_named(theirs, ours, cause, text):
    named = explained(theirs, ours)
    assert named is not None and named.name == cause and text in named.text, named


@pytest.mark.slow
def test_control_of_another_function_no_number_is_named():
    named = explained(stepped(0.25), Body(lambda m, x: (x + m.first(x).tanh() * 0.125).sinh()))
    assert named is None or named.name not in ("constant", "scale"), named


def similar(temperature, squared=False):
    def loss(x, y):
        scores = x.tanh() @ x.tanh().mT / temperature
        return F.cross_entropy(scores**2 if squared else scores, torch.arange(len(x)).roll(1))

    return loss


@pytest.mark.parametrize("other, cause", [(similar(1.25), "constant"), (similar(0.5, True), None)])
def test_another_number_of_a_loss_is_named(other, cause):
    x = torch.tensor(normal(6, 4), requires_grad=True)
    value = other(x, x)
    (gradient,) = torch.autograd.grad(value, x)
    named = explain_loss(similar(0.5), x.detach().numpy(), np.zeros((6, 4)), float(value.detach()), gradient.numpy())
    assert (named and named.name) == cause, named


def tabled(dtype, factor):
    table = torch.linspace(1, 2, 6).double() / 3
    return Body(lambda m, x: m.first(x * m.table).tanh() * factor, table=table.to(dtype))


def test_a_millionth_of_the_gap_is_explained_though_tables_round():
    named = explained(tabled(torch.float32, 3.0), tabled(torch.float64, 1.0))
    assert named is not None and named.name == "factor-missing" and 1e-10 < named.residual < 1e-6, named


def test_an_activation_more_behind_a_layer_is_named():
    right, wrong = (
        seeded_layers(Body(body))
        for body in (lambda m, x: x + m.second(m.first(x)), lambda m, x: x + F.silu(m.second(m.first(x))))
    )
    with torch.no_grad():
        flax = wrong(torch.as_tensor(X)).numpy()
    named = explain_layer(right, (X,), {}, flax, training=False, right=["first", "second"])
    assert named is not None and named.name == "activation-added", named
    assert "SiLU of what second returns" in named.text


def test_a_minus_and_one_of_two_means_are_named():
    named = explained(
        Body(lambda m, x: x * torch.exp(-m.first(x).tanh())), Body(lambda m, x: x * m.first(x).tanh().exp())
    )
    assert named is not None and (named.name, named.text) == ("sign", "Flax leaves out a minus sign"), named
    named = explained(Body(lambda m, x: (m.first(x) + -1).sigmoid()), Body(lambda m, x: m.first(x).sigmoid()))
    assert named is not None and (named.name, named.text) == ("term-missing", "Flax does not add -1"), named
    loss = lambda x, y: F.mse_loss(x, y) + 0.25 * F.mse_loss(y, x)  # noqa: E731
    x, y = torch.as_tensor(normal(5, 4)), torch.as_tensor(normal(5, 4, seed=1))
    named = explain_loss(loss, x.numpy(), y.numpy(), float(2 * F.mse_loss(x, y)))
    assert named is None or named.name != "one-of-two", named
