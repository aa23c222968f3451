"""Tensors that no call paired: layers that were not called, weights that a model uses without a layer, shared ones."""

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from d2l_jax.errors import InputError, in_a_line
from d2l_jax.weights.leaf import Leaf, along, rows_of
from parity.match.apart import NUMBER, cuts
from parity.match.books import Books
from parity.match.fitting import abbreviated, alike, fit
from parity.match.flax_layers import NORMALISING, FlaxLayer, Variable, Variables
from parity.match.inputs import weights_by_inputs
from parity.match.kernels import ways
from parity.match.proposals import in_words, proposed
from parity.match.rows import tensors_by_rows
from parity.match.spread import spread_fit
from parity.match.stacked import stacked
from parity.match.torch_layers import Recorded, TorchLayer
from parity.models.calls import Path
from parity.models.cutting import Cuts

UNLIKE = 10.0  # names: a parameter and a buffer, as a mask of a scale's shape, where anything else is left
LENGTH, DIRECTION = ("scale", "g"), ("kernel", "v")
# What PyTorch's tensors are called in Flax, and by hand.
CALLED = {
    **{"original0": LENGTH, "weight_g": LENGTH, "original1": DIRECTION, "weight_v": DIRECTION},
    **{"weight": ("weight", "w"), "bias": ("bias", "b")},
}


def completed(
    recorded: Recorded, variables: Variables, leaves: list[Leaf], layers: dict[Path, FlaxLayer], variant: int = 0
) -> Books:
    """The books with what is left paired by kind, shape, name and order; `variant`: another of the possible ways."""
    books = Books(recorded, variables, _renamed_twins(recorded, leaves))
    variant = _whole_layers(books, layers, variant)
    variant = _spread_layers(books, variant)
    variant = weights_by_inputs(books, variant)
    variant = _single_tensors(books, layers, variant)
    tensors_by_rows(books, variant)
    for leaf in list(books.leaves):  # the further names of shared tensors
        for key in recorded.aliases[leaf.key]:
            rows = rows_of(books.rows[key], along(leaf.rows))
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
    free_standing = (x for x in books.recorded.layers if x.whole is None and not _is_one_parameter(x))
    alone = [x for x in free_standing if not promised & {*x.tensors.values()}]
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


def _is_one_parameter(layer: TorchLayer) -> bool:
    """Tells that somebody's own module holds a single tensor, whose name says more than that it is one."""
    return len(layer.tensors) == 1 and not type(layer.module).__module__.startswith("torch.nn.modules")


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
    left = [variable for variable in books.unpaired_variables() if variable.path not in books.variables.pieces]
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


def _single_tensors(books: Books, layers: dict[Path, FlaxLayer], variant: int) -> int:
    """Pairs by shape, what has the likeliest names first, then by order; returns the rest of `variant`."""
    modules = {key: layer for layer in books.recorded.layers if layer.whole is None for key in layer.tensors.values()}
    left = books.unpaired_variables()
    found = {variable.path: _candidates(books, variable, layers, modules) for variable in left}
    scores = {path: max((score for score, _ in candidates), default=0.0) for path, candidates in found.items()}
    for variable in sorted(left, key=lambda variable: -scores[variable.path]):
        free = {*books.unpaired()} if variable.path not in books.variables.pieces else None
        candidates = [leaf for _, leaf in found[variable.path] if free is None or leaf.key in free]
        if candidates:
            variant, choice = divmod(variant, len(candidates))
            books.add(candidates[choice])
    return variant


def _candidates(
    books: Books, variable: Variable, layers: dict[Path, FlaxLayer], modules: dict[str, TorchLayer]
) -> list[tuple[float, Leaf]]:
    """Returns the ways in which a variable may be a tensor without a counterpart, the likeliest first."""
    piece = books.variables.pieces.get(variable.path)
    flax = layers.get(variable.path[:-1])
    keys = [piece.key] if piece else [key for key in books.unpaired() if key not in books.variables.promised]
    options = {"rows": piece.rows, "merged": piece.merged} if piece else {}
    trained = books.recorded.trained
    scored = [
        (0.0 if piece else name_score(key, variable.path) - UNLIKE * (variable.trained != (key in trained)), leaf)
        for key in keys
        if piece or not _is_of_several(modules.get(key)) and not _is_another_kind(books, key, variable)
        for leaf in ways_of(key, modules.get(key), variable, flax, books.recorded, options)
    ]
    return sorted(scored, key=lambda item: -item[0])


def _is_another_kind(books: Books, key: str, variable: Variable) -> bool:
    """Tells whole numbers, as an index of positions is, from a parameter."""
    return variable.trained and books.recorded.arrays[key].dtype.kind in "iub"


def _is_of_several(layer: TorchLayer | None) -> bool:
    """Tells a layer whose tensors have counterparts together or not at all."""
    kinds = torch.nn.RNNBase | torch.nn.RNNCellBase | torch.nn.MultiheadAttention
    return layer is not None and isinstance(layer.module, kinds)


def ways_of(
    key: str,
    layer: TorchLayer | None,
    variable: Variable,
    flax: FlaxLayer | None,
    recorded: Recorded,
    options: Mapping[str, Any],
) -> list[Leaf]:
    module: Any = layer.module if layer else None
    shape = rows_of(recorded.arrays[key], options.get("rows")).shape
    return list(itertools.islice(ways(key, shape, variable, module, flax.module if flax else None, **options), 4))


@cache
def name_score(key: str, path: Path) -> float:
    """The likeness of two paths; the last names count most, whole or from their last underscore on, then the rest."""
    last = next((name for name in reversed(key.split(".")) if not name.isdecimal()), key)  # of lists of parameters
    own = str(path[-1]).rpartition("/")[2]
    ends = (own, own.rpartition("_")[2])
    named = max(alike(name, end) for name in CALLED.get(last, (last,)) for end in ends)
    whole = ".".join(map(str, path))
    owner = key.rpartition(".")[0].rpartition(".")[2]
    return 2 * named + alike(key, whole) + (NUMBER.findall(key) == NUMBER.findall(whole)) + abbreviated(owner, own)


class Unmatched(InputError):
    """Tensors have no counterpart.

    leaves:  those that have one
    nearest: what the others may be
    notes:   what is known of these layers
    cuts:    which arrays are several
    sure:    PyTorch's tensors of which a run has told the counterpart
    """

    def __init__(
        self,
        text: str,
        notes: list[str],
        cuts: Cuts,
        leaves: list[Leaf],
        nearest: list[Leaf],
        sure: Collection[str] = (),
    ):
        super().__init__(text)
        self.sure = sure
        self.notes = notes
        self.cuts = cuts
        self.leaves = leaves
        self.nearest = nearest


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
        raise _unmatched(books, problems, notes, sure)
    if error is not None:
        raise InputError(f"Flax's model does not run on these inputs: {in_a_line(error)}") from error
    order = {key: number for number, key in enumerate(recorded.arrays)}
    return sorted(books.leaves, key=lambda leaf: (order[leaf.key], leaf.rows or (0, 0)))


def _unmatched(books: Books, problems: list[str], notes: list[str], sure: Collection[str]) -> Unmatched:
    recorded, leaves = books.recorded, books.leaves
    free, variables = books.unpaired(), _left(books, sure)
    several = cuts(variables, recorded, sure)
    nearest = proposed(several, variables, free, recorded)
    here = [leaf for leaf in leaves if leaf.key not in {other.key for other in nearest}]
    told = [in_words(here, nearest, len(sure), len(recorded.arrays))] if nearest else []
    lines = [*stacked(variables, {key: recorded.arrays[key].shape for key in free}), *problems, *notes, *told]
    text = f"the two models do not hold the same tensors: {'; '.join(lines)}"
    return Unmatched(text, notes, several, here, nearest, sure)


def _left(books: Books, sure: Collection[str]) -> list[Variable]:
    """Returns the variables without a counterpart, and those supposed to be rows of a tensor that a cut takes."""
    left = books.unpaired_variables()
    taken = {piece.key for cutting in cuts(left, books.recorded, sure).values() for piece in cutting.pieces}
    whole = (leaf for leaf in books.leaves if leaf.path not in books.variables.pieces)
    paths = {*(v.path for v in left), *(leaf.path for leaf in whole if leaf.rows and leaf.key in taken)}
    return [variable for path, variable in books.variables.all.items() if path in paths]
