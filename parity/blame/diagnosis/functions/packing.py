"""Packed sequences, under other lengths."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall


def packed(call: FunctionCall) -> Iterator[Alternative]:
    """Every sequence as long as the longest place: a recurrent layer runs over the padding, too."""
    values, lengths, batch_first = call.args[:3]
    steps = values.shape[1 if batch_first else 0]
    if bool((lengths < steps).any()):
        text = (
            f"Flax goes on over the padding, to step {steps} of every sequence; PyTorch's packed sequences end at"
            f" their lengths, {lengths.tolist()}"
        )
        everywhere = torch.full_like(lengths, steps)
        yield Alternative("padding-counted", text, lambda: call.again(values, everywhere))
