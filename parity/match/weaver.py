"""One question to slopes: what is known holds random numbers, and of what is not they tell which is which."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from flax import nnx

from d2l_jax.weights.leaf import Leaf, Shape, flatten
from parity.match.apart import NUMBER
from parity.match.arrangement import NEAR
from parity.match.exchanged import Steepness
from parity.match.flax_layers import Variable
from parity.match.idle import with_idle
from parity.match.kernels import TRANSPOSED, ways
from parity.match.loading import in_jax, loaded
from parity.match.of_numbers import OfFlax, of_torch
from parity.match.search import Search, in_float64, outputs_gap
from parity.match.slopes import Different, Disordered, Side, Slopes, Unasked, added_up, counterparts
from parity.match.strands import Strand, disordered, strands
from parity.models.calls import Path
from parity.models.flax_model import FlaxModel
from parity.models.woven import Woven, weaves_of

MOST = 200_000  # numbers
VALUES = 0.1, -0.07, 0.05  # of every number that is not known


class Weaver:
    """Looks for the counterparts of what is not known."""

    def __init__(self, search: Search, flax: FlaxModel, known: Sequence[Leaf]):
        self.search, self.flax, self.known = search, flax, known
        recorded = search.recorded
        done = {alias for leaf in known for key in leaf.keys for alias in recorded.aliases[key]}
        free = [key for key in recorded.arrays if key not in done and key not in search.constants]
        keys = dict.fromkeys(recorded.aliases[key][0] for key in free)
        if any(key not in recorded.trained and recorded.arrays[key].dtype.kind == "f" for key in keys):
            raise Unasked  # a statistic, which has no slope
        keys = [key for key in keys if key in recorded.trained]
        self.shapes = {key: recorded.arrays[key].shape for key in keys}
        arrays = dict(flatten(flax.params))
        paths = {leaf.path for leaf in known}
        self.arrays = {path: arrays[path].shape for path in sorted(arrays, key=natural) if path not in paths}
        sizes = [int(np.prod(shape)) for shape in self.arrays.values()]
        self.sizes, self.starts = np.array(sizes, int), np.cumsum([0, *sizes[:-1]]) if sizes else np.zeros(0, int)
        if not sizes or not keys:
            raise Different
        if max(sum(sizes), sum(int(np.prod(s)) for s in self.shapes.values())) > MOST:
            raise Unasked

    def map(self, flax: OfFlax) -> tuple[FlaxModel, list[Leaf]]:
        """Returns the model and the map. Raises Different if there is none."""
        search, reason = self.search, Different()
        theirs = of_torch(search, self.known, [*self.shapes])
        for layout in flax.layouts():
            try:
                leaves = self._leaves(theirs, flax.slopes(self.known, [*self.arrays], layout))
            except Different as error:
                reason = error if isinstance(error, Disordered) else reason
                continue
            model = Woven(self.flax, weaves) if (weaves := weaves_of(leaves)) else self.flax
            params, buffers = loaded(leaves, search.recorded, (in_float64(model.params), in_float64(model.buffers)))
            output, _ = model.apply(params, buffers, in_jax(search.inputs), train=False)
            if outputs_gap(output, search.recorded.output) < NEAR:
                return model, leaves
        raise reason

    def steepness(self, flax: OfFlax) -> tuple[dict[Path, Steepness], dict[str, Steepness]]:
        """Returns the slopes along Flax's arrays and along PyTorch's tensors, where one number stands everywhere."""
        layout = next(flax.layouts(), None)
        if layout is None:
            raise Unasked
        ours = flax.slopes(self.known, [*self.arrays], layout)
        return _steep(ours, self.arrays), _steep(of_torch(self.search, self.known, [*self.shapes]), self.shapes)

    def _leaves(self, theirs: Slopes, ours: Slopes) -> list[Leaf]:
        counts = sum(int(np.prod(shape)) for shape in self.shapes.values()), int(self.sizes.sum())
        parts = [np.arange(count) for count in counts]
        if counts[0] != counts[1]:  # some are added up on one side, as two biases are
            parts = [added_up(slopes, count) for slopes, count in zip((theirs, ours), counts, strict=True)]
        torch_side, flax_side = Side(theirs, parts[0]), Side(ours, parts[1])
        order, idle = counterparts(torch_side, flax_side)
        if counts[0] == counts[1]:
            order = np.argsort(with_idle(np.argsort(order), idle, self.shapes))
        places: list[list[int]] = [[] for _ in order]
        for number, part in enumerate(parts[1].tolist()):
            places[order[part]].append(number)
        found = [*strands(self.shapes, parts[0], [np.array(each) for each in places])]
        modules = dict(self.search.torch_model.named_modules())
        turned = {f"{name}.weight" for name, module in modules.items() if isinstance(module, TRANSPOSED)}
        if keys := disordered(found, self.starts, [*self.arrays.values()], turned, self._cells()):
            raise Disordered(keys)
        leaves = [*self._known(), *(leaf for strand in found for leaf in self._of(strand, modules))]
        numbers = {key: number for number, key in enumerate(self.search.recorded.arrays)}
        return sorted(leaves, key=lambda leaf: (numbers[leaf.key], leaf.rows or (0, 0)))

    def _known(self) -> Iterator[Leaf]:
        """Yields what is known, also under the other names of shared tensors, of which one may be known alone."""
        aliases, named = self.search.recorded.aliases, {leaf.key for leaf in self.known}
        for leaf in self.known:
            yield leaf
            if not leaf.merged:
                yield from (replace(leaf, key=alias) for alias in aliases[leaf.key] if alias not in named)

    def _cells(self) -> set[int]:
        """Returns the numbers of the arrays of Flax's own cells, whose gates have an order that nobody chose."""
        module = getattr(self.flax, "module", None)
        nodes = nnx.iter_graph(module) if isinstance(module, nnx.Module) else ()
        cells = [path for path, node in nodes if isinstance(node, nnx.RNNCellBase)]
        return {n for n, path in enumerate(self.arrays) if any(path[: len(cell)] == cell for cell in cells)}

    def _of(self, strand: Strand, modules: Mapping[str, torch.nn.Module]) -> Iterator[Leaf]:
        """Yields the leaf, under each of the names of a shared tensor."""
        leaf = self._plain(strand, modules.get(strand.key.rpartition(".")[0])) or self._among(strand)
        for alias in self.search.recorded.aliases[strand.key]:
            yield replace(leaf, key=alias)

    def _plain(self, strand: Strand, module: torch.nn.Module | None) -> Leaf | None:
        """Returns the leaf of a tensor that has an array for itself, in an order that is usual."""
        array = int(np.searchsorted(self.starts, strand.places.flat[0], side="right")) - 1
        path = [*self.arrays][array]
        if self.sizes[array] != strand.places.size:
            return None
        held = dict(flatten(self.flax.params))[path]
        variable = Variable(path[-1:], path, True, self.arrays[path], held.dtype)
        wanted = strand.places - self.starts[array]
        for leaf in ways(strand.key, strand.places.shape, variable, module, rows=strand.rows, merged=strand.merged):
            if np.array_equal(leaf.to_torch(np.arange(wanted.size).reshape(leaf.stored)), wanted):
                return leaf
        return None

    def _among(self, strand: Strand) -> Leaf:
        """Returns the leaf of a tensor that stands among others, or in several arrays."""
        paths = [*self.arrays]
        owners = np.searchsorted(self.starts, strand.places.ravel(), side="right") - 1
        numbers = []
        for array in np.unique(owners):
            own = np.flatnonzero(owners == array)
            there = strand.places.ravel()[own] - self.starts[array]
            numbers.append((paths[array], self.arrays[paths[array]], tuple(own.tolist()), tuple(there.tolist())))
        above = os.path.commonprefix([path[:-1] for path, *_ in numbers])
        inside = [".".join(map(str, path[len(above) :])) for path, *_ in numbers]
        rows = f"[rows {strand.rows[0]} to {strand.rows[1]}]" if strand.rows else ""
        names = " and ".join(inside if len(inside) < 3 else [inside[0], f"{len(inside) - 1} more"])
        place = (*above, f"{names}/{' + '.join((strand.key, *strand.merged))}{rows}")
        dtype = dict(flatten(self.flax.params))[numbers[0][0]].dtype
        shape = strand.places.shape
        axes = tuple(range(len(shape)))
        merged, rows = strand.merged, strand.rows
        return Leaf(
            strand.key, place, True, dtype, shape, shape, axes, shape, rows=rows, merged=merged, numbers=tuple(numbers)
        )


def _steep(slopes: Slopes, shapes: Mapping[Any, Shape]) -> dict[Any, Steepness]:
    """Returns the slopes along each of these arrays in a few rounds, in each of which all numbers are one."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    rounds = [slopes(np.full(ends[-1], value), number + 1)[1] for number, value in enumerate(VALUES)]
    parts = np.split(np.stack(rounds), ends[:-1], axis=1)
    return {name: part.reshape(len(VALUES), *shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def natural(name: str | Path) -> tuple:
    """Returns what sorts names by their numbers, too."""
    text = name if isinstance(name, str) else ".".join(map(str, name))
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in _pieces(text))


def _pieces(text: str) -> list[str]:
    parts, end = [], 0
    for number in NUMBER.finditer(text):
        parts += [text[end : number.start()], number[0]]
        end = number.end()
    return [*parts, text[end:]]
