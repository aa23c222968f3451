"""Functions that keep a number positive, as scales and rates have to be, and gates."""

from collections.abc import Iterator

from torch.nn import functional as F

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall


def gates(call: FunctionCall) -> Iterator[Alternative]:
    """What a gate keeps and what it lets in are exchanged."""
    text = "Flax has 1 - g where PyTorch has g, the sigmoid: a gate the other way round"
    yield Alternative("gate-complement", text, lambda: 1 - call.result)


def exponentials(call: FunctionCall) -> Iterator[Alternative]:
    """Softplus, or nothing, in the place of the exponential; half of a logarithm of a variance."""
    yield Alternative("softplus", "Flax computes softplus, PyTorch the exponential", lambda: F.softplus(call.x))
    yield Alternative("exponential-missing", "Flax leaves out the exponential", lambda: call.x * 1)
    text = "Flax takes the exponential of half, PyTorch of the whole (a deviation, a variance)"
    yield Alternative("exponential-half", text, lambda: (0.5 * call.x).exp())
    text = "Flax takes the exponential of twice as much as PyTorch (a variance, a deviation)"
    yield Alternative("exponential-half", text, lambda: (2 * call.x).exp())
