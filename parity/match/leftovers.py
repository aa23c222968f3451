"""Tensors that no call paired: layers that were not called, weights that a model uses without a layer, shared ones."""

import itertools
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf
from parity.match.apart import cuts
from parity.match.fitting import alike, counter, fit
from parity.match.flax_layers import NORMALISING, FlaxLayer, Variable, Variables
from parity.match.kernels import ways
from parity.match.spread import spread_fit
from parity.match.stacked import stacked
from parity.match.torch_layers import Recorded, TorchLayer
from parity.models.calls import Path
from parity.models.cut import Cuts

LENGTH, DIRECTION = ("scale", "g"), ("kernel", "v")
# What PyTorch's tensors are called in Flax, and by hand.
CALLED = {
    **{"original0": LENGTH, "weight_g": LENGTH, "original1": DIRECTION, "weight_v": DIRECTION},
    **{"weight": ("weight", "w"), "bias": ("bias", "b")},
}


class Books:
    """Keeps account of the rows of PyTorch's tensors and of Flax's variables that have a counterpart."""

    def __init__(self, recorded: Recorded, variables: Variables, leaves: list[Leaf]):
        self.recorded = recorded
        self.variables = variables
        self.leaves = []
        self.spread = False  # tells if a recurrent layer was paired with dense layers, by names
        self.rows = {key: np.zeros(array.shape[:1] or 1, bool) for key, array in recorded.arrays.items()}
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf: Leaf) -> None:
        self.leaves.append(leaf)
        for key in (leaf.key, *leaf.merged):
            self.rows[key][slice(*leaf.rows) if leaf.rows else slice(None)] = True

    def unpaired(self) -> list[str]:
        """Lists tensors of which no row has a counterpart, counters aside; a shared tensor has one if any key has."""
        return [
            key
            for key, rows in self.rows.items()
            if not any(self.rows[alias].any() for alias in self.recorded.aliases[key]) and not self.optional(key)
        ]

    def optional(self, key: str) -> bool:
        return counter(self.recorded.arrays[key])

    def unpaired_variables(self) -> list[Variable]:
        """Lists the variables of Flax's without a counterpart."""
        done = {leaf.path for leaf in self.leaves}
        return [variable for path, variable in self.variables.all.items() if path not in done]

    def problems(self, constants: Collection[Any] = ()) -> Iterator[str]:
        """Lists what has no counterpart; `constants`: keys and paths of what one model may hold alone."""
        for key, rows in self.rows.items():
            if self.optional(key) or rows.all() or key in constants and not rows.any():
                continue
            shape = self.recorded.arrays[key].shape
            some = f" rows {', '.join(map(str, _runs(~rows)))}" if rows.any() else ""
            yield f"only in PyTorch: {key} {shape}{some}"
        for variable in (v for v in self.unpaired_variables() if v.path not in constants):
            yield f"only in Flax: {'.'.join(map(str, variable.path))} {variable.shape}"


def _runs(rows: np.ndarray) -> list[str]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(int)))
    return [f"{first} to {end - 1}" for first, end in zip(edges[::2], edges[1::2])]


def completed(
    recorded: Recorded, variables: Variables, leaves: list[Leaf], layers: dict[Path, FlaxLayer], variant: int = 0
) -> Books:
    """The books with what is left paired by kind, shape, name and order; `variant`: another of the possible ways."""
    books = Books(recorded, variables, _renamed_twins(recorded, leaves))
    variant = _whole_layers(books, layers, variant)
    variant = _spread_layers(books, variant)
    _single_tensors(books, layers, variant)
    for leaf in list(books.leaves):  # the further names of shared tensors
        for key in recorded.aliases[leaf.key]:
            rows = books.rows[key][slice(*leaf.rows) if leaf.rows else slice(None)]
            if not rows.any():
                merged = tuple(_alias(recorded, other, key) for other in leaf.merged)
                books.add(_renamed(leaf, key, merged))
    return books


def _renamed_twins(recorded: Recorded, leaves: list[Leaf]) -> list[Leaf]:
    """Gives two variables for one shared tensor one of its names each, as long as there are any."""
    path_of: dict[tuple, Path] = {}
    renamed = []
    for leaf in leaves:
        names = [key for key in recorded.aliases[leaf.key] if path_of.get((key, leaf.rows), leaf.path) == leaf.path]
        if names and leaf.key not in names:
            leaf = _renamed(leaf, names[0], tuple(_alias(recorded, other, names[0]) for other in leaf.merged))
        path_of[leaf.key, leaf.rows] = leaf.path
        renamed.append(leaf)
    return renamed


def _alias(recorded: Recorded, other: str, key: str) -> str:
    return max(recorded.aliases[other], key=lambda name: alike(name, key))


def _renamed(leaf: Leaf, key: str, merged: tuple[str, ...]) -> Leaf:
    return replace(leaf, key=key, merged=merged)


def _whole_layers(books: Books, layers: dict[Path, FlaxLayer], variant: int) -> int:
    """Pairs layers without a partner, such as auxiliary heads that were not called; returns the rest of `variant`."""
    free = set(books.unpaired())
    promised = books.variables.promised
    alone = [x for x in books.recorded.layers if x.whole is None and not promised & {*x.tensors.values()}]
    for flax in _groups(books, layers):
        fits = [fit(layer, books.recorded.arrays, flax) for layer in alone if set(layer.tensors.values()) & free]
        fits = [candidate for candidate in fits if candidate and not candidate.missing]
        fits = [f for f in fits if all(key in free or books.optional(key) for key in f.layer.tensors.values())]
        if not fits:
            continue
        # A tie goes to the first.
        best = max(fits, key=lambda candidate: alike(candidate.layer.name, ".".join(map(str, flax.path))))
        variant, choice = divmod(variant, len(best.alternatives))
        for leaf in best.alternatives[choice]:
            books.add(leaf)
        free -= set(best.layer.tensors.values())
    return variant


def _spread_layers(books: Books, variant: int) -> int:
    """Pairs recurrent layers whose tensors dense layers of Flax's hold; returns the rest of `variant`."""
    for layer in books.recorded.layers:
        found = spread_fit(layer, books.recorded.arrays, books.unpaired_variables(), set(books.unpaired()))
        if found:
            books.spread = True
            variant, choice = divmod(variant, len(found.alternatives))
            for leaf in found.alternatives[choice]:
                books.add(leaf)
    return variant


def _groups(books: Books, layers: dict[Path, FlaxLayer]) -> Iterator[FlaxLayer]:
    left = books.unpaired_variables()
    by_owner: dict[tuple, list[Variable]] = {}
    for variable in left:
        by_owner.setdefault((variable.path[:-1], variable.trained or None), []).append(variable)
    merged: dict[Path, list[Variable]] = {}
    for (path, trained), owns in by_owner.items():
        place = path if trained or path[:1] != ("batch_stats",) else path[1:]
        merged.setdefault(place, []).extend(owns)
    for path, owns in merged.items():
        called = layers.get(path)
        kind = called.kind if called else books.variables.owners.get(owns[0].path, object)
        if not issubclass(kind, NORMALISING) and (called is None or not called.whole):
            yield FlaxLayer(path, kind, called.module if called else None, tuple(owns), False)


def _single_tensors(books: Books, layers: dict[Path, FlaxLayer], variant: int) -> None:
    """Pairs by shape; among several, by the likeliest name, then by order; `variant` counts through the others."""
    modules = {key: layer for layer in books.recorded.layers if layer.whole is None for key in layer.tensors.values()}
    for variable in books.unpaired_variables():
        flax = layers.get(variable.path[:-1])
        candidates = [
            (key, leaf)
            for key in books.unpaired()
            for leaf in _ways(key, modules.get(key), variable, flax, books.recorded)
        ]
        if not candidates:
            continue
        names = {key: _name_score(key, variable) for key, _ in candidates}
        candidates.sort(key=lambda item: -names[item[0]])
        variant, choice = divmod(variant, len(candidates))
        books.add(candidates[choice][1])


def _ways(
    key: str, layer: TorchLayer | None, variable: Variable, flax: FlaxLayer | None, recorded: Recorded
) -> list[Leaf]:
    module: Any = layer.module if layer else None
    if isinstance(module, torch.nn.RNNBase | torch.nn.RNNCellBase | torch.nn.MultiheadAttention):
        return []
    shape = recorded.arrays[key].shape
    return list(itertools.islice(ways(key, shape, variable, module, flax.module if flax else None), 4))


def _name_score(key: str, variable: Variable) -> float:
    """The likeness of two paths; the last names count most, whole or from their last underscore on."""
    last = key.split(".")[-1]
    own = str(variable.path[-1]).rpartition("/")[2]
    if own == key:  # a part that was made for it
        return 9.0
    ends = (own, own.rpartition("_")[2])
    named = max(alike(name, end) for name in CALLED.get(last, (last,)) for end in ends)
    return 2 * named + alike(key, ".".join(map(str, variable.path)))


class Unmatched(InputError):
    """Tensors have no counterpart; `notes` tell what is known of these layers, `cuts` which arrays are several."""

    def __init__(self, problems: list[str], notes: list[str], cuts: Cuts):
        super().__init__(f"the two models do not hold the same tensors: {'; '.join([*problems, *notes])}")
        self.notes = notes
        self.cuts = cuts


def check(
    books: Books,
    recorded: Recorded,
    error: Exception | None,
    notes: list[str],
    constants: Collection[Any] = (),
    sure: Collection[str] = (),
) -> list[Leaf]:
    """The leaves in PyTorch's order. Raises InputError if anything has no counterpart, and lists all of it.

    sure: tensors of PyTorch's whose counterpart has been given the same numbers
    """
    problems = list(books.problems(constants))
    if problems:
        left = {key: recorded.arrays[key].shape for key in books.unpaired()}
        variables = books.unpaired_variables()
        raise Unmatched([*stacked(variables, left), *problems], notes, cuts(variables, recorded, sure))
    if error is not None:
        raise InputError(f"Flax's model does not run on these inputs: {error}") from error
    order = {key: number for number, key in enumerate(recorded.arrays)}
    return sorted(books.leaves, key=lambda leaf: (order[leaf.key], leaf.rows or (0, 0)))
