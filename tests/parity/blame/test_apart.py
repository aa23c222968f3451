"""Where no cause is known, the first line of PyTorch's in whose place Flax has another, by which all is explained."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen
from sampled import sampled

import parity

TABLE = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class Ours(linen.Module):
    """`right` or not, the second line computes what no hypothesis knows."""

    right: bool = False

    @linen.compact
    def __call__(self, x):
        y = jnp.tanh(linen.Dense(6, name="first")(x)) * 2.0
        z = jnp.sinh(y) if self.right else jnp.sinh(y + 0.3 * y**2)
        return linen.Dense(3, name="second")(z / 3.0)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 6)
        self.second = torch.nn.Linear(6, 3)

    def forward(self, x):
        y = torch.tanh(self.first(x)) + torch.tanh(self.first(x))  # computed otherwise, and the same
        z = torch.sinh(y)
        return self.second(z / 3.0)


class Within(torch.nn.Module):
    """The same in a module of its own."""

    def __init__(self):
        super().__init__()
        self.inner = Theirs()

    def forward(self, x):
        return self.inner(x)


class OursWithin(linen.Module):
    @linen.compact
    def __call__(self, x):
        return Ours(name="inner")(x)


PAIRS = [(Ours(), Theirs()), (OursWithin(), Within())]


def found(ours, theirs, **options):
    blame = parity.check(ours, theirs, TABLE, tiers=("float64",), steps=1, **options).blame
    assert blame
    return blame


@pytest.mark.parametrize(
    "ours, theirs", sampled([(Ours(), Theirs()), (OursWithin(), Within())]), ids=["body", "module"]
)
def test_the_line_is_told_from_which_on_numbers_differ(ours, theirs):
    blame = found(ours, theirs)
    assert blame.cause == ""
    assert "Flax computes `y + 0.3 * y**2` (test_apart.py, line 23) where PyTorch has `torch.tanh(" in blame.text


@pytest.mark.slow
def test_a_loss_has_its_line_too():
    ours = lambda outputs, targets: jnp.mean(jnp.cosh(outputs - 0.7 * outputs**2))  # noqa: E731
    theirs = lambda outputs, targets: torch.cosh(outputs).mean()  # noqa: E731
    blame = found(Ours(right=True), Theirs(), loss=(ours, theirs))
    assert (blame.layer, blame.cause) == ("loss", "")
    assert "Flax computes `outputs - 0.7 * outputs**2` (test_apart.py, line " in blame.text
    assert "where PyTorch has `self.second(z / 3.0)` (test_apart.py, line " in blame.text


class OurCell(linen.Module):
    """A cell in a scan; the wrong one forgets with what it has just computed."""

    right: bool = False

    @linen.compact
    def __call__(self, carry, x):
        new = jnp.tanh(linen.Dense(6, name="given")(x) + linen.Dense(6, name="kept")(carry))
        kept = jnp.sinh(carry if self.right else carry + 0.2 * carry**2)
        out = new * kept
        return out, out


class OurLoop(linen.Module):
    right: bool = False

    @linen.compact
    def __call__(self, x):
        scan = linen.scan(OurCell, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1)
        start = jnp.full((len(x), 6), 0.1, x.dtype)
        return linen.Dense(3, name="out")(scan(self.right, name="cell")(start, x)[1])


class Cell(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.given, self.kept = torch.nn.Linear(4, 6), torch.nn.Linear(6, 6)

    def forward(self, x, carry):
        new = torch.tanh(self.given(x) + self.kept(carry))
        return new * torch.sinh(carry)


class Loop(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = Cell(), torch.nn.Linear(6, 3)

    def forward(self, x):
        carry, each = torch.full((len(x), 6), 0.1), []
        for t in range(x.shape[1]):
            carry = self.cell(x[:, t], carry)
            each.append(carry)
        return self.out(torch.stack(each, 1))


SEQUENCES = np.random.default_rng(1).normal(size=(2, 4, 4)).astype(np.float32)


@pytest.mark.slow
def test_a_scan_is_looked_into_and_the_module_of_the_line_is_blamed():
    blame = parity.check(OurLoop(), Loop(), SEQUENCES, tiers=("float64",), steps=1).blame
    assert blame and (blame.layer, blame.cause) == ("cell", ""), blame
    assert (
        "in cell, Flax computes `jnp.sinh(carry if self.right else carry + 0.2 * carry**2)` (test_apart.py, line "
        in blame.text
    )


@pytest.mark.slow
def test_control_the_same_scan_passes():
    assert parity.check(OurLoop(right=True), Loop(), SEQUENCES, tiers=("float64",), steps=1).status == "pass"


@pytest.mark.slow
def test_a_known_cause_needs_no_line():
    ours = lambda outputs, targets: jnp.sum((outputs - targets) ** 2)  # noqa: E731
    theirs = lambda outputs, targets: ((outputs - targets) ** 2).mean()  # noqa: E731
    blame = found(Ours(right=True), Theirs(), loss=(ours, theirs))
    assert blame.cause
    assert "where PyTorch has" not in blame.text


class OurSequence(linen.Module):
    """Computes the whole sequence at once; what it makes of it in the end is another, or what it makes of tokens."""

    wrong: str = ""

    @linen.compact
    def __call__(self, x):
        new = jnp.tanh(linen.Dense(6, name="given")(x))
        kept = jnp.sinh(new + 0.2 * new**2 * (jnp.arange(4)[:, None] > 1) if self.wrong == "tokens" else new)
        last = kept.sum(1)
        return linen.Dense(3, name="out")(jnp.sinh(last + 0.2 * last**2 if self.wrong == "end" else last))


class TokenByToken(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.given, self.out = torch.nn.Linear(4, 6), torch.nn.Linear(6, 3)

    def forward(self, x):
        total = 0.0
        for t in range(x.shape[1]):
            total = total + torch.sinh(torch.tanh(self.given(x[:, t])))
        return self.out(torch.sinh(total))


@pytest.mark.slow
@pytest.mark.parametrize(("wrong", "line"), [("end", "last + 0.2 * last**2"), ("tokens", "kept.sum(1)")])
def test_what_a_loop_makes_in_all_its_turns_flax_may_have_at_once(wrong, line):
    blame = parity.check(OurSequence(wrong), TokenByToken(), SEQUENCES, tiers=("float64",), steps=1).blame
    assert blame and f"Flax computes `{line}` (test_apart.py, line " in blame.text, blame
    assert "where PyTorch has `total + torch.sinh(torch.tanh(" in blame.text
