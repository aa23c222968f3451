"""What a pairing of the requests for random numbers says in a twin."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity.models.random_numbers import RandomRequest, given_shapes, numbers
from parity.models.random_shapes import is_shared
from parity.twin.paired_requests import Pairing, open_layouts, uncertain
from parity.twin.twin import RandomNumbers


def fields_of(
    repeated: Mapping[int, int], pytorch: Sequence[RandomRequest], channels: bool, pairing: Pairing
) -> dict[str, Any]:
    """Returns the twin's fields that go by the pairing.

    repeated: of Flax's requests by a key that was used before, the first one by it
    channels: PyTorch's model has convolutions
    """
    requests, order = pairing.requests, pairing.order
    return {
        "order": order,
        "uncertain": uncertain(requests, pytorch, order),
        "layouts": open_layouts(requests, pytorch, order, channels),
        "shared": _shared_masks(pairing, pytorch),
        "repeated": _repeated_draws(pairing, pytorch, repeated),
        "dropping": pairing.dropping,
        "extra": pairing.extra,
    }


def numbers_of(
    pairing: Pairing, pytorch: Sequence[RandomRequest], batches: int, random: np.random.Generator
) -> tuple[RandomNumbers, ...]:
    """Returns random numbers for each batch, in the order of the pairing's requests."""
    shapes = given_shapes(pairing.requests, pytorch, pairing.order)
    return tuple(numbers(pairing.requests, random, shapes) for _ in range(batches))


def _shared_masks(pairing: Pairing, pytorch: Sequence[RandomRequest]) -> tuple[str, ...]:
    """Returns PyTorch's sites of random numbers that Flax draws once for many examples."""
    pairs = [(pairing.requests[number], request) for number, request in zip(pairing.order, pytorch, strict=True)]
    return tuple(request.site for mine, request in pairs if is_shared(mine.shape, request.shape))


def _repeated_draws(
    pairing: Pairing, pytorch: Sequence[RandomRequest], repeated: Mapping[int, int]
) -> tuple[tuple[str, str], ...]:
    """Returns places of draws by a key that Flax has used before, and where; PyTorch draws in both."""
    awake = {number for number, request in zip(pairing.order, pytorch, strict=True) if not request.idle}
    pairs = [(now, before) for now, before in repeated.items() if now in awake and before in awake]
    return tuple((pairing.requests[now].place, pairing.requests[before].place) for now, before in pairs)
