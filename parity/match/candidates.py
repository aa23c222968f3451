"""Layers of PyTorch's that might be the partner of one of Flax's."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from d2l_jax.weights.leaf import Leaf, Rows
from parity.match.apart import NUMBER
from parity.match.arrangement import Arrangement, arrangement, correlation, within
from parity.match.fitting import Fit, same_words
from parity.match.flax_layers import FlaxLayer
from parity.match.sums import leaves_room
from parity.match.torch_layers import NumpyCall, TorchLayer
from parity.models.calls import Path
from parity.weights.choice import COUNTER

CALLED = {name: (short := name[0], f"w{short}", f"{short}_proj", f"to_{short}") for name in ("query", "key", "value")}
LISTS = (torch.nn.ParameterList, torch.nn.ParameterDict)  # are given nothing
Array = Shaped[np.ndarray, "..."]


@dataclass
class Candidate:
    """A layer of PyTorch's that fits; `arrangement`: of the inputs, where they are the same."""

    fit: Fit
    call: NumpyCall | None
    arrangement: Arrangement | None

    @property
    def gap(self) -> float:
        return self.arrangement.gap if self.arrangement else np.inf


def nearest(fits: Fit, x: Array) -> Candidate:
    """The call of a layer whose input is nearest to `x`."""
    best = Candidate(fits, None, None)
    for seen in fits.layer.calls:
        inputs = arrangement(x, seen.inputs[0]) if seen.inputs else None
        if inputs and inputs.gap < best.gap:
            best = Candidate(fits, seen, inputs)
    return best


def likeliest_first(same: list[Candidate], flax: FlaxLayer, from_end: bool, usual: str | None) -> list[Candidate]:
    """Sorts those that saw the same input by direction, kind and name.

    usual: the last name of the partner that a layer of this name has in another block
    """
    last = str(flax.path[-1]) if flax.path else ""
    kind = flax.kind.__name__

    def unlikely(candidate: Candidate) -> tuple:
        layer = candidate.fit.layer
        other = type(layer.module).__name__.rstrip("123d")
        named = same_words(last, layer.last) or last.lower() in CALLED.get(layer.last, ())
        unusual = usual not in (None, layer.last)
        return layer.backward != from_end, other != kind, unusual, not named, candidate.arrangement is None

    return sorted(same, key=unlikely)


def begun(same: list[Candidate], siblings: Iterable[TorchLayer]) -> list[Candidate]:
    """Returns the candidates without parts of other blocks' fused layers, where one of this block is not used up.

    siblings: partners of the layers beside Flax's in its module
    """
    wholes = {each.layer.whole for each in (candidate.fit for candidate in same) if each.layer.whole}
    own = {layer.whole for layer in siblings} & wholes
    kinds = {_kind(whole) for whole in own}
    others = {whole for whole in wholes - own if _kind(whole) in kinds}
    return [candidate for candidate in same if candidate.fit.layer.whole not in others]


def _kind(layer: TorchLayer | None) -> str:
    return NUMBER.sub("#", layer.name) if layer else ""


def guessed(free: list[Candidate], x: np.ndarray, from_end: bool) -> Candidate:
    """Guesses where no layer saw this input: the one with the most alike, or else the next in order."""
    free = sorted(free, key=lambda c: (c.fit.layer.backward != from_end, bool(c.fit.layer.widths)))
    if len(free) > 1:
        alikeness = [
            max((correlation(x, s.inputs[0]) for s in c.fit.layer.calls if s.inputs), default=0.0) for c in free
        ]
        best = int(np.argmax(alikeness))
        if alikeness[best] > 0.5:
            free = [free[best]]
    chosen = free[0]
    calls = [seen for seen in chosen.fit.layer.calls if seen.inputs]
    arrangements = [arrangement(x, seen.inputs[0], loose=True) for seen in calls[:1]]
    return Candidate(chosen.fit, calls[0] if calls else None, arrangements[0] if arrangements else None)


def sees_more(candidate: Candidate, x: Array) -> bool:
    """Tells whether a layer is given what Flax's is given, and more: all tokens, where Flax's has the last alone."""
    return any(seen.inputs and within(x, seen.inputs[0]) for seen in candidate.fit.layer.calls)


def sees_less(candidate: Candidate, x: Array) -> bool:
    """Tells whether a layer is given some rows alone of what Flax's is given: global tokens, those of an expert."""
    return any(seen.inputs and within(seen.inputs[0], x) for seen in candidate.fit.layer.calls)


def together(layers: Iterable[TorchLayer], arrays: dict[str, Array], flax: FlaxLayer, x: Array) -> bool:
    """Tells whether layers that are given this input, one behind the other, are as large together as one of Flax's."""
    given = [layer for layer in layers if any(s.inputs and arrangement(x, s.inputs[0]) for s in layer.calls)]
    sizes = [max(math.prod(shape) for shape in layer.shapes(arrays).values()) for layer in given]
    runs = (sizes[start:end] for start, end in itertools.combinations(range(len(sizes) + 1), 2))
    return max(variable.size for variable in flax.variables) in {sum(run) for run in runs if len(run) > 1}


def used_up(layer: TorchLayer, partners: Iterable[Any], aliases: Mapping[str, Sequence[str]]) -> bool:
    """Tells whether a layer, shared by several of PyTorch's, is the partner of as many of Flax's as it has names."""
    users = sum(partner.layer is layer for partner in partners)
    return users >= max(len(aliases[key]) for key in layer.tensors.values())


def without_projections(layers: Sequence[TorchLayer], attentions: int) -> list[TorchLayer]:
    """Returns the layers without the projections of PyTorch's attentions, where Flax has as many of its own.

    They are these, whole: what else is given the same input is not one of their parts.
    """
    projections = [x for x in layers if x.whole and isinstance(x.whole.module, torch.nn.MultiheadAttention)]
    if len({id(x.whole) for x in projections}) != attentions:
        return list(layers)
    return [layer for layer in layers if layer not in projections]


def may_be_partners(layers: Sequence[TorchLayer], attentions: int) -> list[TorchLayer]:
    """Returns the layers that are given anything, and are no projections of attentions that Flax has as its own."""
    return [layer for layer in without_projections(layers, attentions) if not isinstance(layer.module, LISTS)]


def kind_of_path(path: Path) -> str:
    """Returns a layer's name, and where it stands without the numbers of blocks."""
    return f"{NUMBER.sub('#', '.'.join(map(str, path[:-1])))}.{path[-1] if path else ''}"


def available(layer: TorchLayer, paired: dict[TorchLayer, Path]) -> bool:
    """Tells if a layer is free; an attention is matched whole, by its projections, or by the one that makes three."""
    if layer in paired or layer.whole in paired:
        return False
    around = (other for other in paired if other.holds or layer.holds)
    if any({*layer.tensors.values()} & {*other.tensors.values()} for other in around):
        return False
    others = [other for other in paired if other.whole and other.whole in (layer, layer.whole)]
    if any(_overlap(mine, theirs) for mine in _places(layer) for other in others for theirs in _places(other)):
        return False
    return not layer.widths or _leaves_room(layer, others)


def _leaves_room(layer: TorchLayer, others: list[TorchLayer]) -> bool:
    """Tells whether the other parts of a fused layer still find a place beside this one and those."""
    rows = [next(iter(part.rows.values())) for part in (layer, *others)]
    whole: Any = layer.whole
    units = whole.module.out_features if isinstance(whole.module, torch.nn.Linear) else whole.module.out_channels
    length = rows[0][2] if len(rows[0]) > 2 else units
    return leaves_room(length, [(first, end) for first, end, *_ in rows], layer.widths)


def _places(layer: TorchLayer) -> list[tuple[str, Rows | None]]:
    """Returns the rows of each tensor; the counter of a normalisation's steps is that of all of its parts."""
    return [(key, layer.rows.get(name)) for name, key in layer.tensors.items() if name != COUNTER]


def _overlap(left: tuple[str, Rows | None], right: tuple[str, Rows | None]) -> bool:
    if left[0] != right[0] or left[1] is None or right[1] is None:
        return left[0] == right[0]
    return left[1][0] < right[1][1] and right[1][0] < left[1][1]  # in one block, where there are several


def same_call(layer: TorchLayer, x: Array, number: int) -> tuple[Arrangement | None, NumpyCall | None]:
    """The call of a shared layer that saw this input, or else the one with this number."""
    for seen in layer.calls:
        if seen.inputs and (inputs := arrangement(x, seen.inputs[0])):
            return inputs, seen
    if number >= len(layer.calls) or not layer.calls[number].inputs:
        return None, None
    return arrangement(x, layer.calls[number].inputs[0], loose=True), layer.calls[number]


def split(leaf: Leaf, inputs: Arrangement | None) -> Leaf:
    """A dense kernel whose rows are in the order of a flatten that differs from PyTorch's."""
    if not (inputs and inputs.split and len(leaf.shape) == 2 and leaf.axes == (1, 0)):
        return leaf
    # `inputs.split` is Flax's; PyTorch's columns run through it in the order `inputs.order`.
    axes = (len(inputs.split), *inputs.order)
    return replace(leaf, split=(*inputs.split, leaf.split[-1]), axes=axes)
