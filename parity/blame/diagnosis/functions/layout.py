"""Transpositions and reshapes that belong together: one without the other mixes heads with places."""

from collections.abc import Iterator
from itertools import combinations

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

TURNING = ("transpose", "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "contiguous")
SHAPING = ("reshape", "view", "unflatten")
CAUSE = "transpose-missing"


def unturned(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a reshape of what PyTorch has transposed before."""
    turned = call.x
    while (made := call.behind(turned)) and made.name in TURNING:
        turned = made.x
    if isinstance(turned, torch.Tensor) and turned is not call.x and turned.shape != call.x.shape:
        text = f"Flax reshapes {_shown(turned)} at once, PyTorch after a transposition to {_shown(call.x)}"
        yield Alternative(CAUSE, text, lambda: turned.reshape(call.result.shape))


def shaped(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a reshape to the shape that PyTorch's has by a reshape and a transposition."""
    made = call.behind(call.x)
    if made is None or made.name not in SHAPING or call.result.shape == call.x.shape:
        return
    text = f"Flax reshapes {_shown(made.x)} to {_shown(call.result)} at once, PyTorch by way of a transposition"
    yield Alternative(CAUSE, text, lambda: made.x.reshape(call.result.shape))


def restacked(call: FunctionCall) -> Iterator[Alternative]:
    """Yields parts of one shape that are joined along another axis, and given the shape of PyTorch's."""
    parts = list(call.args[0] if call.args else call.kwargs.get("tensors", ()))
    if call.name == "stack" or len(parts) < 2 or len({part.shape for part in parts}) > 1:
        return
    for axis in range(parts[0].ndim):
        text = f"Flax stacks the {len(parts)} parts along a new axis {axis} and reshapes: they are mixed otherwise"
        yield Alternative("join-axis", text, lambda axis=axis: torch.stack(parts, axis).reshape(call.result.shape))


def exchanged(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a sum of products with two axes of one size exchanged, in what it gives or in a factor."""
    equation, *factors = call.args
    terms = str(equation).replace(" ", "").split("->")
    if len(terms) == 2 and "." not in terms[0]:
        for turned in _pairs(terms[1], call.result):
            text = f"Flax's einsum gives {terms[0]}->{_exchanged(terms[1], *turned)}, PyTorch's {terms[0]}->{terms[1]}"
            yield Alternative("transposed", text, lambda turned=turned: call.result.transpose(*turned))
        names = terms[0].split(",")
        for place, (name, factor) in enumerate(zip(names, factors)):
            for turned in _pairs(name, factor):
                other = ",".join([*names[:place], _exchanged(name, *turned), *names[place + 1 :]])
                text = f"Flax's einsum has {other}->{terms[1]}, PyTorch's {terms[0]}->{terms[1]}"
                given = [*factors[:place], factor.transpose(*turned), *factors[place + 1 :]]
                yield Alternative("transposed", text, lambda given=given: torch.einsum(equation, *given))


def _pairs(names: str, tensor: torch.Tensor) -> Iterator[tuple[int, int]]:
    """Yields pairs of axes of the same size."""
    pairs = combinations(range(len(names)), 2)
    yield from ((i, j) for i, j in pairs if tensor.shape[i] == tensor.shape[j] > 1)


def _exchanged(names: str, i: int, j: int) -> str:
    letters = list(names)
    letters[i], letters[j] = letters[j], letters[i]
    return "".join(letters)


def _shown(tensor: torch.Tensor) -> str:
    return str(tuple(tensor.shape))
