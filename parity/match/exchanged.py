"""Layers of one form, exchanged where the two models differ and slopes are nearer so than where names have put them."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from d2l_jax.weights.leaf import Leaf, rows_of
from parity.match.apart import owner
from parity.match.fitting import alike
from parity.models.calls import Path

NEXT = 1e-3  # what slopes are apart that are next to equal, of their size
MUCH = 1.0  # how much nearer the slopes of a layer have to be than where names have put it, in `gap`
TINY = 1e-300
DIRECTION = re.compile(r"_l\d+(_reverse)?$")  # of a recurrent layer, whose tensors stay together
OF_LAYERS = ("kernel", "bias", "scale", "embedding", "weight")
Steepness = Float[np.ndarray, "rounds ..."]


@dataclass(frozen=True)
class Layer:
    """One layer of Flax's: its path, and its tensors by the names of its variables."""

    path: Path
    leaves: Mapping[Any, Leaf]

    @property
    def form(self) -> tuple:
        """Returns what layers have in common that may be exchanged."""
        return tuple((x.shape, x.stored) for x in self.leaves.values())

    def takes(self, other: "Layer") -> Iterator[Leaf]:
        """Yields its own tensors of PyTorch's where the other layer of Flax's stands."""
        for mine, theirs in zip(self.leaves.values(), other.leaves.values(), strict=True):
            yield replace(mine, path=theirs.path)


def exchanged(
    leaves: Sequence[Leaf],
    among: Mapping[str, Any],
    ours: Mapping[Path, Steepness],
    theirs: Mapping[str, Steepness],
) -> list[Leaf]:
    """Returns the map with layers of one form exchanged, where that brings slopes far nearer.

    among:        of each of PyTorch's tensors, what it has in common with those that may be exchanged with it
    ours, theirs: slopes along what is not known, where one number stands everywhere
    """
    forms: dict[tuple, list[Layer]] = {}
    for layer in _layers([leaf for leaf in leaves if leaf.path in ours and leaf.key in theirs and not leaf.merged]):
        forms.setdefault((layer.form, *(among[leaf.key] for leaf in layer.leaves.values())), []).append(layer)
    moved: dict[tuple, Leaf] = {}
    for layers in forms.values():
        if _named(layers):
            continue
        gaps = np.array([[_gap(left.takes(right), ours, theirs) for right in layers] for left in layers])
        _, order = linear_sum_assignment(np.nan_to_num(gaps) - MUCH * np.eye(len(layers)))
        for left, place in zip(layers, order, strict=True):
            moved |= {(leaf.key, leaf.rows): leaf for leaf in left.takes(layers[place])}
    return [moved.get((leaf.key, leaf.rows), leaf) for leaf in leaves]


def _layers(leaves: Sequence[Leaf]) -> Iterator[Layer]:
    """Yields the layers of Flax's that stand for one of PyTorch's, some of its rows, or one of its directions."""
    places = [leaf.path for leaf in leaves]
    layers: dict[tuple, list[Leaf]] = {}
    for leaf in leaves:
        if places.count(leaf.path) == 1:
            path = leaf.path[:-1] if leaf.path[-1] in OF_LAYERS else leaf.path
            direction = DIRECTION.search(leaf.key)
            own = (direction[0],) if direction else (path, leaf.rows)
            layers.setdefault((owner(leaf.key), *own), []).append(leaf)
    for (_, first, *_), held in layers.items():
        path = first if isinstance(first, tuple) else tuple(os.path.commonprefix([leaf.path[:-1] for leaf in held]))
        named = {".".join(map(str, leaf.path[len(path) :])): leaf for leaf in held}
        yield Layer(path, dict(sorted(named.items())))


def _named(layers: Sequence[Layer]) -> bool:
    """Tells whether names alone say that each layer stands where it does: of all, its own are the most alike."""
    paths = [".".join(map(str, layer.path)) for layer in layers]
    keys = [next(iter(layer.leaves.values())).key for layer in layers]
    likeness = np.array([[alike(owner(key) or key, path) for path in paths] for key in keys])
    others = np.where(np.eye(len(layers), dtype=bool), -np.inf, likeness)
    return bool((np.diag(likeness) > others.max(1)).all())


def _gap(leaves: Iterator[Leaf], ours: Mapping[Path, Steepness], theirs: Mapping[str, Steepness]) -> float:
    held = ((np.stack([rows_of(x, leaf.rows) for x in theirs[leaf.key]]), leaf) for leaf in leaves)
    return sum(gap(left, np.stack([leaf.to_torch(x) for x in ours[leaf.path]])) for left, leaf in held)


def gap(left: Steepness, right: Steepness) -> float:
    """Returns how far slopes are apart, in size and in direction; that some are next to equal says most.

    A mistake moves the slopes of what is behind it far away from all, and leaves those beside it where they are.
    """
    left, right = left.reshape(len(left), -1), right.reshape(len(right), -1)
    sizes, others = (np.linalg.norm(x, axis=1) + TINY for x in (left, right))
    apart = np.linalg.norm(left - right, axis=1) / (sizes + others)
    turned = 1 - (left * right).sum(1) / (sizes * others)
    return float(np.log((NEXT + apart) * (NEXT + turned)).mean())
