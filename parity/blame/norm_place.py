"""Blocks that normalise before a layer on the one side, and behind the sum of residuals on the other."""

from collections.abc import Iterator, Sequence

import numpy as np

from parity.blame.diagnosis.cause import Cause
from parity.compare.scale import rms
from parity.layers.isolate import Isolated
from parity.layers.received import Received

NEAR = 1e-9  # relative to a tensor's scale


def explain_norm_place(isolated: Isolated, block: str) -> Cause | None:
    """Returns which norm of a block stands elsewhere: only on one side it is given the block's own input.

    On the other side a layer of the block is given that input as it is, which the norm's results reach on the first.
    """
    received: dict[str, Received] = {}
    for tensor in isolated.received:
        received.setdefault(tensor.label, tensor)
    whole = received.get(block)
    if whole is None:
        return None
    inside = [tensor for tensor in received.values() if tensor.name.startswith(f"{block}.")]
    norms = {layer.label for layer in isolated.layers if "Norm" in type(layer.theirs.module).__name__}
    for norm in (tensor for tensor in inside if tensor.label in norms):
        others = [tensor for tensor in inside if tensor.label not in norms]
        for layer in _behind_in_one(whole, norm, others):
            before, behind = ("PyTorch", "Flax") if _same(norm.torch, whole.torch) else ("Flax", "PyTorch")
            text = (
                f"{before} normalises the block's input before {layer} (pre-norm), {behind} the sum behind it"
                f" (post-norm): {norm.label} stands elsewhere"
            )
            return Cause("norm-place", text, 0.0)
    return None


def _behind_in_one(whole: Received, norm: Received, others: Sequence[Received]) -> Iterator[str]:
    """Yields layers that are given the block's input on just that side on which the norm is not."""
    torch_first = _same(norm.torch, whole.torch)
    flax_first = _same(norm.flax, whole.flax)
    if torch_first == flax_first:
        return
    for layer in others:
        raw = _same(layer.torch, whole.torch), _same(layer.flax, whole.flax)
        if raw == (flax_first, torch_first):
            yield layer.label


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.shape == right.shape and float(np.max(np.abs(left - right), initial=0.0)) <= NEAR * rms(left)
