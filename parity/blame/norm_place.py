"""Blocks that normalise before a layer on the one side, and behind the sum of residuals on the other."""

from collections.abc import Iterator, Sequence

import numpy as np

from parity.blame.diagnosis.cause import Cause
from parity.compare.scale import rms
from parity.layers.isolated import Isolated
from parity.layers.received import Received

NEAR = 1e-9  # relative to a tensor's scale


def explain_norm_place(isolated: Isolated, block: str = "") -> Cause | None:
    """Returns which norm of a block stands elsewhere: only on one side it is given the block's own input.

    block: PyTorch's name of a module; "" is the whole model, whose blocks are not known: a norm's own input is taken

    On the other side a layer of the block is given that input as it is, which the norm's results reach on the first.
    """
    received: dict[str, Received] = {}
    for tensor in isolated.received:
        received.setdefault(tensor.label, tensor)
    if block and block not in received:
        return None
    inside = [tensor for tensor in received.values() if not block or tensor.name.startswith(f"{block}.")]
    norms = {layer.label for layer in isolated.layers if "Norm" in type(layer.theirs.module).__name__}
    others = [tensor for tensor in inside if tensor.label not in norms]
    for norm in (tensor for tensor in inside if tensor.label in norms):
        for whole in [received[block].torch] if block else [norm.torch, norm.flax]:
            for layer in _behind_in_one(whole, norm, others):
                before, behind = ("PyTorch", "Flax") if _same(norm.torch, whole) else ("Flax", "PyTorch")
                text = (
                    f"{before} normalises the block's input before {layer} (pre-norm), {behind} the sum behind it"
                    f" (post-norm): {norm.label} stands elsewhere"
                )
                return Cause("norm-place", text, 0.0)
    return None


def _behind_in_one(whole: np.ndarray, norm: Received, others: Sequence[Received]) -> Iterator[str]:
    """Yields layers that are given the block's input on just that side on which the norm is not."""
    torch_first = _same(norm.torch, whole)
    flax_first = _same(norm.flax, whole)
    if torch_first == flax_first:
        return
    for layer in others:
        raw = _same(layer.torch, whole), _same(layer.flax, whole)
        if raw == (flax_first, torch_first):
            yield layer.label


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.shape == right.shape and float(np.max(np.abs(left - right), initial=0.0)) <= NEAR * rms(left)
