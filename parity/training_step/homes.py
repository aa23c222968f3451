"""Where the parameters of each of several optimisers stand in a JAX state: a GAN's two, an actor's and a critic's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from parity.match.fitting import alike

Path = tuple[Any, ...]


def homes_of(moments: Mapping[Path, Mapping[Path, Any]], floating: Mapping[Path, Any]) -> dict[Path, Path]:
    """Returns the path above the parameters of each of Optax's states; {} where one path fits all of them.

    moments:  {path of a state of Optax's: {path below its field: array}}, of those that hold any
    floating: the numbers that may be parameters
    """
    fitting = {place: _fitting(tensors, floating) for place, tensors in moments.items()}
    if len(fitting) < 2 or not all(fitting.values()) or set.intersection(*map(set, fitting.values())):
        return {}
    homes: dict[Path, Path] = {}
    for place, roots in fitting.items():
        homes[place] = max(roots, key=lambda root, place=place: (*_likeness(place, root), root not in homes.values()))
    return homes


def _fitting(tensors: Mapping[Path, Any], floating: Mapping[Path, Any]) -> list[Path]:
    """Returns the paths below which there are numbers of these names and shapes."""
    first = next(iter(tensors))
    above = [path[: len(path) - len(first)] for path in floating if path[len(path) - len(first) :] == first]
    return [
        root for root in above if all(_shape(floating, (*root, *rest)) == np.shape(x) for rest, x in tensors.items())
    ]


def _shape(floating: Mapping[Path, Any], path: Path) -> tuple[int, ...] | None:
    return np.shape(floating[path]) if path in floating else None


def _likeness(place: Path, root: Path) -> tuple[int, float]:
    """Returns how many names the two begin with alike, and how alike the others are."""
    common = next((n for n, (one, other) in enumerate(zip(place, root)) if one != other), min(len(place), len(root)))
    return common, alike(".".join(map(str, place[common:])), ".".join(map(str, root[common:])))
