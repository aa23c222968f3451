"""Which of Flax's requests for random numbers each of PyTorch's is, and those that one of them alone makes."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, combinations, islice

import torch

from d2l_jax.errors import InputError
from parity.match.fused import CONVOLUTIONS
from parity.models.random_numbers import FITS, RandomRequest, dropped_alone, partners
from parity.models.random_shapes import Layout, layouts

MOST = 100  # choices of so many of Flax's calls that are looked at

Requests = Sequence[RandomRequest]


@dataclass(frozen=True)
class Pairing:
    """Which of Flax's requests each of PyTorch's is.

    requests: Flax's, and behind them those that PyTorch alone makes; what one side alone asks for is marked, to be
              answered so that it drops nothing
    order:    for each of PyTorch's which of them it is
    dropping: the places where PyTorch alone drops
    extra:    those where Flax alone does
    """

    requests: list[RandomRequest]
    order: tuple[int, ...]
    dropping: tuple[str, ...]
    extra: tuple[str, ...] = ()


def paired(flax: Requests, pytorch: Requests, extra: Collection[int] = ()) -> Pairing:
    """Returns the pairing of all of Flax's requests but the `extra` ones, which PyTorch does not make.

    Raises InputError where the one draws what the other does not.
    """
    asked = [number for number in range(len(flax)) if number not in extra and not flax[number].idle]
    ours = [flax[number] for number in asked]
    idle = _idle(ours, pytorch)
    asking = [number for number in range(len(pytorch)) if number not in idle]
    dropping = dropped_alone(ours, [pytorch[number] for number in asking])
    alone = sorted([*idle, *(asking[number] for number in dropping)])
    both = [request for number, request in enumerate(pytorch) if number not in alone]
    order = [asked[number] for number in partners(ours, both)]
    for place, number in enumerate(alone):
        order.insert(number, len(flax) + place)
    own = [replace(request, keeps=number not in asked) for number, request in enumerate(flax)]
    more = [replace(pytorch[number], keeps=True) for number in alone]
    places = tuple(request.place for request in more if not request.idle)
    return Pairing([*own, *more], tuple(order), places, tuple(_place(flax, number) for number in sorted(extra)))


def pairings(flax: Requests, pytorch: Requests) -> list[Pairing]:
    """Returns the pairings that may be, the likeliest first: several where any of Flax's calls of dropout may be extra.

    As few are as can be; of like ones the last.

    Raises InputError where the one draws what the other does not, but by Flax's own dropout.
    """
    try:
        return [paired(flax, pytorch)]
    except InputError:
        if found := _with_extra(flax, pytorch):
            return sorted(found, key=lambda pairing: -_in_place(pairing, pytorch))
        raise


def _with_extra(flax: Requests, pytorch: Requests) -> list[Pairing]:
    """Returns the pairings without as few calls of Flax's own dropout as can be, the last ones first."""
    stock = [number for number, request in enumerate(flax) if request.stock and not request.idle][::-1]
    left = [extra for there in (True, False) if set(extra := _left(flax, pytorch, there)) <= set(stock)]
    for many in range(max(1, len(flax) - len(pytorch)), len(stock) + 1):
        choices = chain((extra for extra in left if len(extra) == many), combinations(stock, many))
        if found := list(_without(flax, pytorch, islice(choices, MOST))):
            return found
    return []


def _left(flax: Requests, pytorch: Requests, there: bool) -> tuple[int, ...]:
    """Returns what is left of Flax's requests once each of PyTorch's has the first that fits; nothing where none does.

    there: in the same submodule
    """
    left = list(range(len(flax)))
    for request in pytorch:
        near = [number for number in left if not there or flax[number].site == request.site]
        number = next((number for fits in FITS for number in near if fits(flax[number], request)), None)
        if number is None:
            return ()
        left.remove(number)
    return tuple(left)


def _without(flax: Requests, pytorch: Requests, choices: Iterable[tuple[int, ...]]) -> Iterator[Pairing]:
    for extra in dict.fromkeys(tuple(sorted(choice)) for choice in choices):
        with suppress(InputError):
            yield paired(flax, pytorch, extra)


def _in_place(pairing: Pairing, pytorch: Requests) -> int:
    """Returns how many requests have a partner in the same submodule."""
    pairs = zip(pairing.order, pytorch, strict=True)
    return sum(pairing.requests[number].site == request.site for number, request in pairs)


def _place(flax: Requests, number: int) -> str:
    """Returns the place of a request; of several there, which of them it is."""
    place = flax[number].place
    there = [other for other, request in enumerate(flax) if request.place == place]
    return f"{place} (call {there.index(number) + 1})" if place and len(there) > 1 else place


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
