"""Noise that both steps draw for every parameter, as for gradients: its partner is that of the same parameter.

Shapes alone would pair a kernel's noise with that of another one, whose shape in PyTorch is the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from d2l_jax.weights.leaf import Leaf
from parity.models.random_numbers import RandomRequest
from parity.models.random_shapes import layouts
from parity.training_step.pair import StepPair
from parity.twin.paired_requests import Pairing

Paired = Callable[[Sequence[RandomRequest], Sequence[RandomRequest]], Pairing]


class Noise(NamedTuple):
    """Which of JAX's draws each of PyTorch's is.

    pairing: of all of them
    leaves:  by their place among JAX's the parameters that they are for
    """

    pairing: Pairing
    leaves: dict[int, Leaf]

    def on_jax(self, place: int, numbers: np.ndarray) -> np.ndarray:
        """Returns numbers in PyTorch's layout so that JAX's draw gets them in its parameter's."""
        if place not in self.leaves:
            return numbers
        array = self.leaves[place].to_flax(numbers)
        return next(layouts(array.shape, array.shape)).to_torch(array)  # as the likeliest layout is undone there


def paired_noise(
    pair: StepPair, ours: Sequence[RandomRequest], theirs: Sequence[RandomRequest], paired: Paired
) -> Noise:
    """Returns the partners of all draws, of those for parameters by the map and of the others as `paired` says.

    Raises InputError where the one draws what the other does not.
    """
    found = _of_parameters(pair, ours, theirs)
    rest = [place for place in range(len(ours)) if place not in {own for own, _ in found.values()}]
    others = [number for number in range(len(theirs)) if number not in found]
    order = {number: own for number, (own, _) in found.items()}
    pairing = paired([ours[i] for i in rest], [theirs[i] for i in others])
    own, alone = pairing.requests[: len(rest)], pairing.requests[len(rest) :]
    places = [*rest, *range(len(ours), len(ours) + len(alone))]
    order |= {number: places[place] for number, place in zip(others, pairing.order, strict=True)}
    marked = dict(enumerate(ours)) | dict(zip(rest, own, strict=True))
    whole = replace(
        pairing,
        requests=[*(marked[place] for place in range(len(ours))), *alone],
        order=tuple(order[number] for number in range(len(theirs))),
    )
    return Noise(whole, dict(found.values()))


def _of_parameters(
    pair: StepPair, ours: Sequence[RandomRequest], theirs: Sequence[RandomRequest]
) -> dict[int, tuple[int, Leaf]]:
    """Returns for each of PyTorch's draws for a parameter JAX's, and the parameter; none where either is unclear."""
    by_path = {leaf.path: leaf for leaf in pair.trained}
    by_key = {leaf.key: leaf for leaf in pair.trained if not leaf.merged and leaf.rows is None}
    in_jax = [by_path[path] for path in pair.jax.state.leaves if path in by_path]
    in_torch = [by_key[name] for name, p in pair.torch.model.named_parameters() if p.requires_grad and name in by_key]
    if len(in_torch) < 2 or sorted(map(id, in_jax)) != sorted(map(id, in_torch)):
        return {}
    there = _runs(theirs, [leaf.shape for leaf in in_torch])
    here = _runs(ours, [leaf.stored for leaf in in_jax])
    if [theirs[first].normal for first in there] != [ours[first].normal for first in here]:
        return {}
    places = {leaf.key: place for place, leaf in enumerate(in_jax)}
    return {
        first + number: (own + places[leaf.key], leaf)
        for first, own in zip(there, here, strict=True)
        for number, leaf in enumerate(in_torch)
    }


def _runs(requests: Sequence[RandomRequest], shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """Returns where draws of one kind begin that have these shapes, one after the other."""
    starts: list[int] = []
    for first in range(len(requests) - len(shapes) + 1):
        run = requests[first : first + len(shapes)]
        same = [x.shape for x in run] == list(map(tuple, shapes)) and len({x.normal for x in run}) == 1
        if same and first >= (starts[-1] + len(shapes) if starts else 0):
            starts.append(first)
    return starts
