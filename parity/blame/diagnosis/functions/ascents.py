"""Steps along a gradient of a length that is given, as those of SAM and of adversaries: c * g / norm."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "step-norm"
DIVIDING = ("rdiv", "rtruediv")


def by_norm(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a tensor times c / norm with its own norm, without a norm, and as c times its signs."""
    for x, factor in (call.args[:2], call.args[1::-1]):
        made = call.behind(factor)
        number = made.args[1] if made and made.name in DIVIDING else None
        if isinstance(number, float | int) and not factor.ndim and isinstance(x, torch.Tensor) and x.ndim:
            yield from _otherwise(x, float(number))


def _otherwise(x: torch.Tensor, length: float) -> Iterator[Alternative]:
    text = f"Flax's step of length {length:g} {{}}, PyTorch's is divided by one norm of all tensors"
    own = "is divided by each tensor's own norm"
    yield Alternative(CAUSE, text.format(own), lambda: x * (length / x.norm()))
    yield Alternative(CAUSE, text.format("is not divided by the norm"), lambda: x * length)
    yield Alternative(CAUSE, text.format("is along the signs"), lambda: x.sign() * length)
