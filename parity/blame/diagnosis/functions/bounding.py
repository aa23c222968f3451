"""The larger, or the smaller, of two tensors: one of them alone, or another bound."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

USUAL = (1.0, 0.0, 1e-6)


def of_two(call: FunctionCall) -> Iterator[Alternative]:
    """Yields either tensor alone, and a usual number in the place of either."""
    pair = call.args[:2] if len(call.args) > 1 else ()
    if not all(isinstance(x, torch.Tensor) and x.is_floating_point() for x in pair):
        return
    for kept, left_out in zip(pair, ("second", "first")):
        if kept.shape == call.result.shape:
            text = f"Flax leaves out the {left_out} of two tensors of which PyTorch takes the {call.name}"
            yield Alternative("unclipped", text, lambda kept=kept: kept * 1)
            for bound in USUAL:
                text = f"Flax's bound is {bound:g}, PyTorch's the {left_out} tensor of its {call.name}"
                other = torch.as_tensor(bound, dtype=kept.dtype)
                yield Alternative("bound", text, lambda kept=kept, other=other: call.function(kept, other))
