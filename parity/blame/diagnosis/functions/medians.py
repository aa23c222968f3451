"""Medians of an even count, of which PyTorch takes the lower middle one and JAX the mean of both."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

TEXT = "Flax takes the mean of the two middle numbers (jnp.median), PyTorch the lower one (torch.median)"
UPPER = "Flax takes the upper of the two middle numbers, PyTorch the lower one (torch.median)"


def medians(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the mean of the two middle numbers, and the upper one."""
    axis = call.option(1, "dim")
    x = call.x.flatten() if axis is None else call.x.movedim(axis, -1)
    count = x.shape[-1]
    if count % 2:
        return

    def whole(value: torch.Tensor) -> object:
        if axis is None:
            return value
        kept = value.unsqueeze(axis) if call.option(2, "keepdim", False) else value
        return type(call.result)((kept, call.result[1]))

    def middle(place: int) -> torch.Tensor:
        return x.sort(-1).values[..., count // 2 - 1 + place]

    yield Alternative("median", TEXT, lambda: whole((middle(0) + middle(1)) / 2))
    yield Alternative("median", UPPER, lambda: whole(middle(1)))
