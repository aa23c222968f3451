"""Which of Flax's requests for random numbers each of PyTorch's is, and those that PyTorch alone makes."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from parity.match.fused import CONVOLUTIONS
from parity.models.random_numbers import RandomRequest, dropped_alone, partners
from parity.models.random_shapes import Layout, layouts
from parity.twin.traces import Traced


def paired(ours: Traced, theirs: Traced) -> tuple[Traced, tuple[int, ...], tuple[str, ...]]:
    """Returns Flax's trace, for each of PyTorch's requests which of it it is, and where PyTorch alone drops.

    What PyTorch alone asks for stands at the end of the trace, to be answered so that it drops nothing.

    Raises InputError where the one draws what the other does not.
    """
    idle = _idle(ours.requests, theirs.requests)
    asking = [number for number in range(len(theirs.requests)) if number not in idle]
    dropping = dropped_alone(ours.requests, [theirs.requests[number] for number in asking])
    alone = sorted([*idle, *(asking[number] for number in dropping)])
    both = [request for number, request in enumerate(theirs.requests) if number not in alone]
    order = list(partners(ours.requests, both))
    for place, number in enumerate(alone):
        order.insert(number, len(ours.requests) + place)
    more = [replace(theirs.requests[number], keeps=True) for number in alone]
    places = tuple(request.place for request in more if not request.idle)
    return replace(ours, requests=[*ours.requests, *more]), tuple(order), places


def uncertain(flax: Sequence[RandomRequest], pytorch: Sequence[RandomRequest], order: Sequence[int]) -> tuple[int, ...]:
    """Lists requests of PyTorch's whose masks a model may make by hand: kept below the rate, or dropped below it."""
    pairs = [(flax[number], request) for number, request in zip(order, pytorch, strict=True)]
    return tuple(
        number for number, (ours, theirs) in enumerate(pairs) if (ours.uniform or theirs.uniform) and not theirs.idle
    )


def open_layouts(
    flax: Sequence[RandomRequest], pytorch: Sequence[RandomRequest], order: Sequence[int], channels: bool = False
) -> dict[int, tuple[Layout, ...]]:
    """Returns how Flax's numbers may lie in PyTorch's, by PyTorch's request, the likelier first, where it is open.

    Of a model that has the batch first on one side alone, or heads last. Elsewhere the first axis of both is one, and
    in models of images or signals it is open whether the last is that of channels, which PyTorch has behind the first.

    channels: PyTorch's model has convolutions
    """
    pairs = [(flax[number].shape, request.shape) for number, request in zip(order, pytorch, strict=True)]
    likeliest = [next(layouts(*shapes), None) for shapes in pairs]
    usual = all(layout is None or layout.is_usual for layout in likeliest)
    if usual and not channels:
        return {}
    every = {number: tuple(layouts(*shapes)) for number, shapes in enumerate(pairs)}
    if usual:
        every = {number: tuple(x for x in found if x.keeps_or_moves_channels) for number, found in every.items()}
    return {number: found for number, found in every.items() if len(found) > 1}


def has_convolutions(model: torch.nn.Module) -> bool:
    """Tells whether some module is a convolution."""
    return any(isinstance(module, CONVOLUTIONS) for module in model.modules())


def _idle(flax: Sequence[RandomRequest], pytorch: Sequence[RandomRequest]) -> tuple[int, ...]:
    """Lists PyTorch's requests on which nothing depends, where Flax makes none of their shape."""
    shapes = {request.shape for request in flax}
    return tuple(number for number, x in enumerate(pytorch) if x.idle and x.shape not in shapes)
