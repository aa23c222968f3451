"""Causes in a model's own expressions: masks, slopes, sums that are scaled, norms, bounds, dropout's rate."""

import math

import numpy as np
import pytest
import torch
from altered import Calling, cause_of
from torch.nn import functional as F

from parity.blame.diagnosis import explain_layer
from parity.blame.diagnosis.cause import choose
from parity.blame.diagnosis.functions import function_trials
from parity.blame.diagnosis.functions.altering import Altering
from parity.blame.diagnosis.functions.numbers import number_trials
from parity.blame.diagnosis.functions.spacings import other_spacings
from parity.models.random_numbers_torch import ImposedOnTorch

R = torch.Generator().manual_seed(0)
X, Y, S = (torch.randn(3, 4, 5, 5, generator=R, dtype=torch.float64) for _ in range(3))
SEEN = torch.arange(5)[None] < torch.tensor([[5], [3], [2], [4]])[:, None]
PLACES = torch.arange(5)
BACK = (PLACES - PLACES[:, None]).double()
SLOPES = 2.0 ** -(2.0 * torch.arange(1, 5).double())[:, None, None]
ROW, COL = torch.tensor([0, 1, 2, 2, 4]), torch.tensor([1, 0, 1, 3, 2])
D = torch.tensor([1.0, 2.0, 3.0, 1.0, 2.0], dtype=torch.float64) ** -0.5
EDGES = (S.abs() < 0.5).double()
LOW = torch.full_like(X, -(2.0**32))

CAUSES = {
    "mask-behind-softmax": (lambda x: torch.where(SEEN, x, LOW).softmax(-1), lambda x: x.softmax(-1) * SEEN),
    "scale-of-term": (lambda x: (x + Y) * S, lambda x: x * S + Y),
    "scale-over-sum of the first factor": (lambda x: x.cos() * S[0] + Y, lambda x: (x.cos() + Y) * S[0]),
    "scale-over-sum of the second": (lambda x: S[0] * x.cos() + Y, lambda x: (x.cos() + Y) * S[0]),
    "factor-missing": (lambda x: x / EDGES.sum(-1, keepdim=True).clamp(min=1), lambda x: x * 1),
    "slopes": (lambda x: (x + SLOPES * BACK).softmax(-1), lambda x: (x + 4 * SLOPES * BACK).softmax(-1)),
    "order-reversed": (lambda x: x * torch.arange(4, -1, -1), lambda x: x * torch.arange(5)),
    "degree-normalisation": (lambda x: x * (D[ROW] * D[COL]), lambda x: x * D[COL] ** 2),
    "norm-axis": (lambda x: x / x.norm(dim=-1, keepdim=True), lambda x: x / x.norm(dim=0, keepdim=True)),
    "norm-order": (lambda x: x / x.norm(dim=-1, keepdim=True), lambda x: x / x.norm(1, dim=-1, keepdim=True)),
    "factor-inverted": (lambda x: (x / 0.3).softmax(-1), lambda x: (x * 0.3).softmax(-1)),
    "unclipped": (lambda x: x.clamp(-1, 1).exp(), lambda x: x.clamp(min=-1).exp()),
    "logsumexp-axis": (lambda x: x.logsumexp(2), lambda x: x.logsumexp(3)),
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_in_an_expression(name):
    found = cause_of(*CAUSES[name], X)
    assert found and found.name in (name.partition(" ")[0], name.partition("-")[2]), found


OTHERS = {
    "other shift": (lambda x: (x + Y) * S, lambda x: x * S + Y * Y),
    "mask behind, other weights": (CAUSES["mask-behind-softmax"][0], lambda x: (2 * x).softmax(-1) * SEEN),
    "slopes of no series": (CAUSES["slopes"][0], lambda x: (x + SLOPES * BACK * (1 + BACK.abs())).softmax(-1)),
    "other ends": (CAUSES["degree-normalisation"][0], lambda x: x * D[COL] * D[COL] * D[ROW]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_control_of_another_difference_none_of_them_is_told(name):
    found = cause_of(*OTHERS[name], X)
    assert found is None or found.name not in CAUSES, found


@pytest.mark.parametrize("high, told", [(1.5, "upper bound is 1.5, PyTorch's 1.0"), (9.0, "")])
def test_another_bound_is_fitted_unless_nothing_reaches_it(high, told):
    module = Calling(lambda x: torch.clamp(x, min=-1.0, max=1.0) * 2)

    def run(choice, find):
        mode = Altering(module, choice, find=find)
        with torch.no_grad(), mode.running():
            return [module(X).numpy()], mode

    oracle, flax = [module(X).numpy()], [(X.clamp(-1, high) * 2).numpy()]
    found = choose(oracle, flax, number_trials(run, oracle, flax))
    assert (found and told in found.text) if told else found is None


def test_frequencies_that_are_spaced_otherwise():
    powers = 2.0 ** torch.arange(4).double().numpy()
    found = {text: other.tolist() for _, text, other in other_spacings(powers)}
    assert any("evenly" in text and math.isclose(other[1], 1 + 7 / 3) for text, other in found.items())
    assert not list(other_spacings(powers[[0, 2, 1, 3]]))


@pytest.mark.parametrize("rate, told", [(0.7, True), (0.2, True), (0.3, False)])
def test_dropout_of_another_rate_draws_its_numbers_once(rate, told):
    def dropped(x, p):
        return F.dropout(x, p) @ Y

    numbers = [torch.rand(X.shape, generator=R, dtype=torch.float64).numpy()]
    module = Calling(lambda x: dropped(x, 0.3))

    def drawn(function):
        with ImposedOnTorch(numbers), torch.no_grad():
            return [function(X).numpy()]

    def run(choice):
        mode = Altering(module, choice)
        with mode.running():
            return drawn(module), mode

    found = choose(drawn(module), drawn(lambda x: dropped(x, rate) * (1 if told else 2)), function_trials(run))
    assert (found and found.name == "dropout-rate") if told else (not found or found.name != "dropout-rate"), found


class Codes(torch.nn.Module):
    """A codebook's losses: each stops the gradient of the other side."""

    def __init__(self, stopped=("z", "q", "past")):
        super().__init__()
        self.codes = torch.nn.Parameter(torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(3, 5).square())
        self.stopped = stopped

    def stop(self, name, x):
        return x if name not in self.stopped else x.detach()

    def forward(self, z):
        if len(self.stopped) < 3:  # as Flax has it
            q = self.codes[z.detach().argmax(1) % 3]
            loss = (q - self.stop("z", z)).square().mean() + 0.25 * (self.stop("q", q) - z).square().mean()
            return z + self.stop("past", q - z), loss
        q = self.codes[z.detach().argmax(1) % 3]
        loss = (q - z.detach()).square().mean() + 0.25 * (q.detach() - z).square().mean()
        return z + (q - z).detach(), loss


@pytest.mark.parametrize("stopped, told", [(("past",), "zq"), (("z", "past"), "q"), (("q", "past"), "z")])
def test_gradients_that_are_let_through_are_told_with_their_expressions(stopped, told):
    z = X[0, 0].clone().requires_grad_()
    back = [torch.ones(5, 5, dtype=torch.float64) * Y[0, 0], torch.tensor(2.0, dtype=torch.float64)]
    ours = Codes(stopped)
    outputs = ours(z)
    torch.autograd.backward(outputs, back)
    grads = {name: np.asarray(x.grad) for name, x in (("codes", ours.codes), ("input", z))}
    arrays = tuple(x.detach().numpy() for x in outputs)
    cotangent = tuple(x.numpy() for x in back)
    found = explain_layer(Codes(), (X[0, 0],), {}, arrays, training=True, cotangent=cotangent, flax_grads=grads)
    assert found and found.name == "stop-gradient-missing", found
    assert [f"`{name}.detach()`" in found.text for name in "zq"] == [name in told for name in "zq"], found
