"""Numbers without a slope, as rows of a table that no index names: they stand where the others of their tensor say."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Int

from d2l_jax.weights.leaf import Shape

Places = Int[np.ndarray, "numbers"]


def with_idle(places: Places, idle: Bool[np.ndarray, "numbers"], shapes: Mapping[str, Shape]) -> Places:
    """Returns where PyTorch's numbers stand among Flax's, those without a slope along the axes of their tensor.

    places: of each number; those of idle ones may be exchanged
    shapes: of PyTorch's tensors, one behind the other
    """
    said: dict[int, int] = {}
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    for shape, end in zip(shapes.values(), ends.tolist(), strict=True):
        start = end - math.prod(shape)
        said |= dict(_said(places[start:end], idle[start:end], shape, start))
    free = set(places[idle].tolist())
    if len({*said.values()}) < len(said) or not free.issuperset(said.values()):
        return places
    rest = iter(sorted(free.difference(said.values())))
    found = places.copy()
    for number in np.flatnonzero(idle).tolist():
        found[number] = said[number] if number in said else next(rest)
    return found


def _said(places: Places, idle: Bool[np.ndarray, "numbers"], shape: Shape, start: int) -> Iterator[tuple[int, int]]:
    """Yields each idle number of a tensor and its place, where the others stand in equal steps along all axes."""
    if idle.all() or not idle.any():
        return
    at = np.indices(shape).reshape(len(shape), -1).T
    steps = np.column_stack([np.ones(len(at)), at])
    fitted, _, rank, _ = np.linalg.lstsq(steps[~idle], places[~idle], rcond=None)
    expected = np.rint(steps @ fitted).astype(int)
    if rank == steps[:, [True, *(n > 1 for n in shape)]].shape[1] and np.array_equal(expected[~idle], places[~idle]):
        yield from ((start + int(n), int(expected[n])) for n in np.flatnonzero(idle))
