"""Packed sequences, under other lengths, and their last states."""

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


def last_places(call: FunctionCall) -> Iterator[Alternative]:
    """The forward direction's state at the last place of the padding; the backward direction's is right."""
    pack = call.last("pack_padded_sequence")
    if pack is None or not isinstance(call.args[1], torch.Tensor) or len(call.args) != 9:  # one that is not packed
        return
    values, lengths, batch_first = pack.args[:3]
    _, _, states, *options = call.args
    values = values.transpose(0, 1) if batch_first else values
    bidirectional, layers = options[-1], options[2]
    if not bidirectional or layers != 1 or not bool((lengths < len(values)).any()):
        return

    def ended() -> tuple:
        output, *last = call.result
        _, *over_all = call.function(values, states, *options, False)
        return output, *(torch.cat([ahead[:1], back[1:]]) for ahead, back in zip(over_all, last, strict=True))

    text = "Flax takes the forward direction's state after the padding, PyTorch at each sequence's end"
    yield Alternative("padding-counted", text, ended)
