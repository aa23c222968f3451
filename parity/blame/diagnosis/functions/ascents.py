"""Steps along a gradient of a length that is given, as those of SAM and of adversaries: c * g / norm."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "step-norm"
DIVIDING = ("rdiv", "rtruediv")
PRODUCTS = ("mul", "multiply", "rmul")
SUMS = ("add", "radd")
NORMS = ("norm", "linalg_norm", "linalg_vector_norm", "sqrt")


def by_norm(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a tensor times c / norm with its own norm, without a norm, and as c times its signs."""
    for x, factor in (call.args[:2], call.args[1::-1]):
        made = call.behind(factor)
        number = made.args[1] if made and made.name in DIVIDING else None
        if isinstance(number, float | int) and not factor.ndim and isinstance(x, torch.Tensor) and x.ndim:
            yield from _otherwise(x, float(number))


def over_norm(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a tensor, or c times one, that is divided by a norm of more than itself, in the same ways."""
    x, divisor = call.args[:2]
    norm, eps = call.behind(divisor), 0.0
    if norm and norm.name in SUMS:
        eps = next((each for each in norm.args if isinstance(each, float)), 0.0)
        norm = call.behind(norm.args[0])
    if not norm or norm.name not in NORMS or divisor.ndim or not x.ndim:
        return
    made = call.behind(x)
    tensors = [each for each in made.args if isinstance(each, torch.Tensor)] if made and made.name in PRODUCTS else []
    number = next((each for each in made.args if isinstance(each, float)), 0.0) if made and tensors else 0.0
    yield from _otherwise(tensors[0] if number else x, number or 1.0, eps)


def _otherwise(x: torch.Tensor, length: float, eps: float = 0.0) -> Iterator[Alternative]:
    text = f"Flax's step of length {length:g} {{}}, PyTorch's is divided by one norm of all tensors"
    own = "is divided by each tensor's own norm"
    yield Alternative(CAUSE, text.format(own), lambda: x * (length / (x.norm() + eps)))
    yield Alternative(CAUSE, text.format("is not divided by the norm"), lambda: x * length)
    yield Alternative(CAUSE, text.format("is along the signs"), lambda: x.sign() * length)
