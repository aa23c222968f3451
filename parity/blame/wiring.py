"""Layers that Flax gives another tensor of the same model, such as a shortcut taken before the norm, or zeros."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from parity.arrays.layout import named_leaves
from parity.arrays.torch_arrays import to_numpy
from parity.blame.diagnosis.cause import Cause
from parity.compare.scale import rms
from parity.layers.isolated import Isolated
from parity.layers.received import Received, first_other

NEAR = 1e-9  # relative to a tensor's scale
MOST = 100  # tensors of which two may be added
Function = Callable[[torch.Tensor], torch.Tensor]
BETWEEN: dict[str, Function] = {
    "": lambda x: x,
    "ReLU of ": torch.relu,
    "SiLU of ": torch.nn.functional.silu,
    "GELU of ": torch.nn.functional.gelu,
    "hyperbolic tangent of ": torch.tanh,
}


def explain_wiring(isolated: Isolated, inside: str = "") -> Cause | None:
    """Returns which other tensor the first layer is given that is given something else, if that is in the module.

    inside: PyTorch's name of a module; "" is the whole model
    """
    first = first_other(isolated.received)
    if first is None or inside and not first.name.startswith(f"{inside}."):
        return None
    theirs = _source(isolated, first, first.torch)
    ours = _source(isolated, first, first.flax) or (theirs and not first.flax.any() and "zeros")
    if not ours:
        return None
    text = f"Flax gives {first.label} {ours}, PyTorch {theirs or 'something else'}"
    return Cause("wiring", text, 0.0)


def _source(isolated: Isolated, to: Received, array: np.ndarray) -> str:
    """Returns in words where the tensor comes from, before the layer that it is given to."""
    for what, function in BETWEEN.items():
        for words, tensor in _tensors(isolated, to):
            if tensor.shape == array.shape and _same(to_numpy(function(tensor)), array):
                return f"the {what}{words}" if what else words
    return _sum(isolated, to, array)


def _sum(isolated: Isolated, to: Received, array: np.ndarray) -> str:
    """Returns which two tensors the one is the sum of, as behind a residual connection."""
    terms = [(words, to_numpy(x)) for words, x in _tensors(isolated, to) if x.shape == array.shape and x.any()]
    for number, (words, term) in enumerate(terms[:MOST]):
        rest = array - term
        for other, right in terms[number + 1 : MOST]:
            if _same(right, rest):
                return f"the sum of {words} and {other}"
    return ""


def _tensors(isolated: Isolated, to: Received) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields PyTorch's tensors in words: what layers return, then what they are given."""
    inside = f"{to.name}."
    calls = [x for x in isolated.layers if x.label != to.label and not x.theirs.name.startswith(inside)]
    for layer in calls:
        for _, tensor in named_leaves(layer.theirs.output, ""):
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                yield f"what {layer.label} returns", tensor.detach().double()
    for layer in calls:
        for tensor in layer.ports.tensors:
            if tensor.is_floating_point():
                yield f"what {layer.label} is given", tensor.detach().double()


def _same(theirs: np.ndarray, ours: np.ndarray) -> bool:
    if theirs.shape != ours.shape:
        return False
    left, right = (np.asarray(array, np.float64) for array in (theirs, ours))
    return float(np.max(np.abs(left - right), initial=0.0)) <= NEAR * max(rms(left), 1e-300)
