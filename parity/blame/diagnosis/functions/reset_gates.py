"""A factor before a linear layer or behind it, as the reset gate of a recurrent layer may stand at either place."""

from collections.abc import Iterator
from functools import partial

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

LINEAR = ("linear", "matmul", "mm")
PARTS = ("chunk", "split", "unbind", "getitem")


def before(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a product whose factor is a factor of what a linear layer is given, in place of what it gives."""
    if len(call.args) < 2 or not all(isinstance(x, torch.Tensor) for x in call.args[:2]):
        return
    for gate, given in (call.args[:2], call.args[1::-1]):
        layer = _linear(call, given)
        if layer and layer.x.shape == gate.shape and layer.x is not gate:
            text = "Flax multiplies what a layer is given by a gate, PyTorch what it gives: the reset gate is before"
            text += " the product with the weights, not behind it"
            yield Alternative("reset-before", text, partial(_replayed, call, given, layer, gate * layer.x))


def behind(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a product with weights that is multiplied by a gate, in place of what it is of."""
    made = call.behind(call.x)
    if not made or made.name != "mul" or not all(isinstance(x, torch.Tensor) for x in made.args[:2]):
        return
    for gate, state in (made.args[:2], made.args[1::-1]):
        if gate.shape == state.shape == call.result.shape:
            text = "Flax multiplies what a layer gives by a gate, PyTorch what it is given: the reset gate is behind"
            text += " the product with the weights, not before it"
            yield Alternative("reset-after", text, lambda g=gate, s=state: g * call.again(s))


def _linear(call: FunctionCall, tensor: torch.Tensor) -> FunctionCall | None:
    """Returns the call of the linear layer that the tensor is, or is a part of, a bias beside it."""
    made = call.behind(tensor)
    if made is None or made.name in LINEAR:
        return made
    if made.name in PARTS or (made.name == "add" and call.behind(made.args[1]) is None):
        return _linear(call, made.x)
    return None


def _replayed(call: FunctionCall, tensor: torch.Tensor, layer: FunctionCall, given: torch.Tensor) -> torch.Tensor:
    """Returns the tensor as it is where the layer is given something else."""
    made = call.behind(tensor)
    if made is None or made is layer:
        return layer.again(given)
    whole = made.again(_replayed(call, made.x, layer, given))
    if not isinstance(made.result, tuple | list):
        return whole
    return whole[next(place for place, part in enumerate(made.result) if part is tensor)]
