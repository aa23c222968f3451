"""Factors and terms whose gradient Flax stops where PyTorch does not, or the other way round; forward all is alike."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, Alternatives, FunctionCall

CAUSE = "stop-gradient"
PLACES = ("first", "second")
KINDS = {
    **dict.fromkeys(("mul", "rmul", "multiply", "matmul", "mm", "bmm"), "factor of a product"),
    **dict.fromkeys(("div", "truediv", "divide"), "operand of a quotient"),
    **dict.fromkeys(("add", "radd", "sub", "rsub", "subtract"), "operand of a sum or difference"),
}


def operands(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the function with one of its two operands detached, or with the other one than in PyTorch."""
    pair = call.args[:2]
    for place, operand in enumerate(pair):
        if not isinstance(operand, torch.Tensor):
            continue
        what = f"the {PLACES[place]} {KINDS[call.name]}"
        if operand.requires_grad:
            text = f"Flax stops the gradient of {what}, PyTorch does not"
            yield Alternative(CAUSE, text, lambda place=place: call.again(*_with(pair, {place: pair[place].detach()})))
        detached, other = call.behind(operand), pair[1 - place] if len(pair) > 1 else None
        if detached and detached.name == "detach" and isinstance(other, torch.Tensor) and other.requires_grad:
            text = f"Flax stops the gradient of the other operand than PyTorch, which stops that of {what}"
            exchanged = {place: detached.x, 1 - place: other.detach()}
            yield Alternative(CAUSE, text, lambda exchanged=exchanged: call.again(*_with(pair, exchanged)))


def _with(pair: tuple, changed: dict[int, torch.Tensor]) -> list:
    return [changed.get(place, operand) for place, operand in enumerate(pair)]


def alternatives_of(name: str, right: bool) -> Alternatives | None:
    """Returns what lists a function with one operand detached, if it has two; what is within a right layer is right."""
    return operands if name in KINDS and not right else None
