"""Where the parameters of each of several optimisers stand in a JAX state: a GAN's two, an actor's and a critic's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from parity.match.fitting import alike

Path = tuple[Any, ...]
AVERAGED = ("ema", "average", "avg", "polyak", "shadow", "target", "teacher", "slow", "swa")


def homes_of(
    moments: Mapping[Path, Mapping[Path, Any]], floating: Mapping[Path, Any], apart: bool = False
) -> dict[Path, Path]:
    """Returns the path above the parameters of each of Optax's states; {} where one path fits all of them.

    moments:  {path of a state of Optax's: {path below its field: array}}, of those that hold any
    floating: the numbers that may be parameters
    apart:    where one path fits all, the optimisers move one equal net each: alike in name, or in their order
    """
    fitting = {place: _fitting(tensors, floating) for place, tensors in moments.items()}
    if not all(fitting.values()):
        return {}
    if not apart and (len(fitting) < 2 or set.intersection(*map(set, fitting.values()))):
        return {}
    homes: dict[Path, Path] = {}
    for places in _of_one_optimizer(list(fitting)) if apart else [[place] for place in fitting]:
        free = [root for root in fitting[places[0]] if not apart or root not in homes.values()]
        roots = free or fitting[places[0]]
        one = max(roots, key=lambda root, place=places[0]: (*_preference(place, root), root not in homes.values()))
        homes |= {place: one if one in fitting[place] else fitting[place][0] for place in places}
    return homes


def _of_one_optimizer(places: list[Path]) -> list[list[Path]]:
    """Returns the places of Optax's states by the optimiser that they are parts of: by the first name that differs."""
    length = 1 + next((n for n, names in enumerate(zip(*places)) if len(set(names)) > 1), 0)
    groups: dict[Path, list[Path]] = {}
    for place in places:
        groups.setdefault(place[:length], []).append(place)
    return list(groups.values())


def _fitting(tensors: Mapping[Path, Any], floating: Mapping[Path, Any]) -> list[Path]:
    """Returns the paths below which there are numbers of these names and shapes."""
    first = next(iter(tensors))
    above = [path[: len(path) - len(first)] for path in floating if path[len(path) - len(first) :] == first]
    return [
        root for root in above if all(_shape(floating, (*root, *rest)) == np.shape(x) for rest, x in tensors.items())
    ]


def _shape(floating: Mapping[Path, Any], path: Path) -> tuple[int, ...] | None:
    return np.shape(floating[path]) if path in floating else None


def averaged(path: Path) -> bool:
    """Tells whether a path is called as averaged copies are: of those, an optimiser moves none."""
    return any(word in str(name).lower() for name in path for word in AVERAGED)


def _preference(place: Path, root: Path) -> tuple[int, bool, float]:
    """Returns how many names the two begin with alike, whether it may be trained, and how alike the others are."""
    common = next((n for n, (one, other) in enumerate(zip(place, root)) if one != other), min(len(place), len(root)))
    return common, not averaged(root), alike(".".join(map(str, place[common:])), ".".join(map(str, root[common:])))
