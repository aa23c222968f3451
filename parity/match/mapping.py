"""The map of a pair, also where arrays of either side hold several tensors of the other's, in whatever order."""

import itertools
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf
from parity.match.by_names import named_alike, names_agree
from parity.match.by_slopes import BySlopes
from parity.match.leftovers import Unmatched
from parity.match.orders import blocks_of_rows, in_other_arrays, in_other_orders, of_fused, of_gates
from parity.match.own_axes import along_own_axes
from parity.match.passing import Pass
from parity.match.search import Found, Search, sure_of
from parity.match.settling import settled
from parity.match.slopes import Different, Disordered, Unasked
from parity.models.calls import Path
from parity.models.cut import Cut
from parity.models.flax_model import FlaxModel

KINDS = 4  # of arrays that stand in other orders
MOST, FEW = 90, 20  # orders that are tried for one of them: few where slopes have said that none makes the models one


@dataclass(frozen=True)
class Map:
    """Which tensor is which.

    flax:      the model, cut where it keeps several tensors of PyTorch's in one array
    agrees:    both models compute the same under the map
    likeliest: where they do not, PyTorch's tensors that are this or that one by names and order alone
    reordered: those in whose numbers another order, which is none that a map may have, makes the two models one
    """

    flax: FlaxModel
    leaves: list[Leaf]
    agrees: bool
    likeliest: tuple[str, ...]
    reordered: tuple[str, ...] = ()


def map_of(
    flax: FlaxModel, torch_model: torch.nn.Module, inputs: tuple, torch_inputs: tuple, constants: Collection[str] = ()
) -> Map:
    """Returns the map, also where arrays hold several tensors; in whatever order, unless all names agree.

    Raises InputError as `match` does.
    """
    search = Search(torch_model, inputs, torch_inputs, constants)
    try:
        model, found = flax, search.found(flax)
    except Unmatched as error:
        model = Cut(flax, error.cuts)
        try:
            if not error.cuts:
                raise
            found = search.found(model)
        except Unmatched:  # what is left is told of the model as it is
            return _by_slopes(search, flax, error)
    leaves = named_alike(found.leaves, torch_model.state_dict())
    if found.agrees or names_agree(leaves):
        return Map(model, leaves, found.agrees, ())
    if leaves := settled(search, model, found):
        return Map(model, leaves, True, ())
    slopes, most, reordered = None, MOST, ()
    with suppress(Unasked):
        slopes = BySlopes(search, flax)
        try:
            return Map(*slopes.map(found.leaves, sure_of(found.run)), True, ())
        except Different as error:
            most, reordered = MOST if isinstance(error, Disordered) else FEW, error.keys
        if isinstance(model, Cut):
            nearest = Cut(flax, slopes.cuts(found.leaves))
            tried = _tried(search, nearest)
            model, found = (nearest, tried) if tried and tried.score <= found.score else (model, found)
    runs = [found.run]
    for _ in range(KINDS):
        better = next(_better(search, flax, model, found, runs, most), None)
        if better is None:
            break
        model, found = better
        runs.insert(0, found.run)
        if found.agrees:
            break
    return _map(model, found, slopes, reordered)


def _by_slopes(search: Search, flax: FlaxModel, error: Unmatched) -> Map:
    """Returns the map of models whose shapes tell too little; where slopes say that there is none, the nearest one.

    Raises the error where slopes cannot be asked, or arrays have no counterpart at all.
    """
    try:
        slopes = BySlopes(search, flax)
        try:
            return Map(*slopes.map(error.leaves, error.sure), True, ())
        except Different as different:
            reordered = different.keys
        model = Cut(flax, slopes.cuts(error.leaves))
        found = search.found(model)
    except (Different, Unasked, Unmatched):
        raise error from None
    return _map(model, found, slopes, reordered)


def _map(model: FlaxModel, found: Found, slopes: BySlopes | None, reordered: tuple[str, ...]) -> Map:
    if found.agrees:
        return Map(model, found.leaves, True, ())
    leaves = slopes.exchanged(found.leaves, sure_of(found.run)) if slopes else found.leaves
    return Map(model, leaves, False, tuple(dict.fromkeys(_unsure(model, found))), reordered)


def _unsure(model: FlaxModel, found: Found) -> Iterator[str]:
    """Yields tensors whose layer no input told, where others of their shape were left for it, or share its array."""
    sure = sure_of(found.run)
    if isinstance(model, Cut):
        yield from sorted(model.promised - sure)
    shapes: dict[tuple[int, ...], list[str]] = {}
    for leaf in found.leaves:
        if leaf.key not in sure:
            shapes.setdefault(tuple(sorted(leaf.shape)), []).append(leaf.key)
    yield from (key for keys in shapes.values() if len({*keys}) > 1 for key in keys)


def _better(
    search: Search, flax: FlaxModel, model: FlaxModel, found: Found, runs: Sequence[Pass], most: int
) -> Iterator[tuple[FlaxModel, Found]]:
    """Yields models whose arrays are cut otherwise, under which the first layer that was guessed is not.

    runs: the best up to now, the latest first; in the former, layers were whole that were cut, not yet rightly
    most: orders that are tried; where there are few, none makes the models one, and nothing else is tried
    """
    cuts = model.cuts if isinstance(model, Cut) else {}
    for blocks in blocks_of_rows(found.leaves, search.torch_model) if most > FEW else ():
        tried = _tried(search, model, blocks=blocks)
        if tried and _is_better(tried, found):
            yield model, tried
    more = ({**cuts, **others} for run in runs for others in of_fused(run, search.torch_model))
    gates = ({**cuts, **others} for others in of_gates(found.leaves, search.torch_model))
    axes = ({**cuts, **others} for others in along_own_axes(found.leaves))
    first = _guessed(found)
    ways = itertools.chain(in_other_orders(cuts, search.torch_model), in_other_arrays(cuts), gates, more)
    for each in itertools.chain(axes, itertools.islice(ways, most)):
        cut = Cut(flax, each)
        pieces = list(_known(cut, found.leaves))
        others = [leaf for leaf in found.leaves if leaf.key not in cut.promised]
        tried = _tried(search, cut, known=[*pieces, *others], runs=1, until=first)
        if tried and _is_better(tried, found):
            yield cut, tried if tried.agrees else _tried(search, cut, known=pieces) or tried


def _known(cut: Cut, leaves: Sequence[Leaf]) -> Iterator[Leaf]:
    """Yields the leaves of all pieces, in the layout in which the tensors were found."""
    by_path, by_key = ({getattr(leaf, name): leaf for leaf in leaves} for name in ("path", "key"))
    for path, cutting in cut.cuts.items():
        for place, piece, _ in cutting.places(path):
            leaf = by_path.get(place) or replace(by_key[piece.key], path=place)
            if piece.rows and place not in by_path:
                width, behind = cutting.blocks * piece.width, cutting.axis - len(leaf.stored)
                stored, split = (_resized(shape, behind, width) for shape in (leaf.stored, leaf.split))
                shape = (leaf.shape[0] * width // leaf.stored[cutting.axis], *leaf.shape[1:])
                leaf = replace(leaf, stored=stored, split=split, shape=shape, rows=piece.rows)
            yield leaf


def _resized(shape: Sequence[int], behind: int, width: int) -> tuple[int, ...]:
    """Returns the shape with another width of one axis, which is counted from the last."""
    sizes = list(shape)
    sizes[behind] = width
    return tuple(sizes)


def _is_better(tried: Found, found: Found) -> bool:
    """Tells whether all agrees, or at least the first layer that was guessed is given what its partner is given."""
    first = _guessed(found)
    partner = tried.run.partners.get(first) if first is not None else None
    return tried.agrees or partner is not None and not partner.guessed and not tried.score[0]


def _guessed(found: Found) -> Path | None:
    """Returns the first layer that was guessed."""
    return next((path for path, partner in found.run.partners.items() if partner.guessed), None)


def _tried(search: Search, model: FlaxModel, **options: Any) -> Found | None:
    try:
        return search.found(model, **options)
    except InputError:
        return None
