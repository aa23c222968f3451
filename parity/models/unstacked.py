"""A Flax model whose stacked layers, N of them in one array each, are taken apart: PyTorch keeps N modules."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.functional import Tree
from d2l_jax.weights.leaf import flatten, unflatten
from parity.models.calls import Around
from parity.models.flax_model import Called, FlaxModel, Part, Tensor, called
from parity.models.linen_model import kinds_of, linen_tensors
from parity.models.nnx_model import NNXModel
from parity.models.seen_within import Path, Stacks, loops, part_name

Shape = tuple[int, ...]


def unstacked(model: FlaxModel, inputs: tuple, shapes: Iterable[Shape]) -> FlaxModel:
    """Returns the model with stacked layers taken apart; as it is where it has none.

    shapes: of PyTorch's tensors; a stack that PyTorch keeps in one tensor, too, stays one
    """
    scanned: dict[Path, tuple[int, int]] = {}

    def run(params: Tree, buffers: Tree, *arguments: Any) -> Any:
        stacks = Stacks(_by_path(params, buffers), {})
        with loops(stacks):
            outputs, _ = model.run(called, params, buffers, *arguments, train=False)
        scanned.update(stacks.scanned)
        return outputs

    try:
        jax.eval_shape(run, model.params, model.buffers, *inputs)
    except Exception:  # of the user's own model: told where it is run in earnest
        return model
    sizes = dict(_stacks(scanned, list(model.tensors(inputs)) if scanned else [], shapes))
    return Unstacked(model, sizes, {path: axis for path, (_, axis) in scanned.items()}) if sizes else model


def _by_path(params: Tree, buffers: Tree) -> dict[Path, Any]:
    """Returns the arrays by where they stand among modules: Linen's buffers without their collection."""
    return {path: x for path, x in flatten(params)} | {p[k:]: x for p, x in flatten(buffers) for k in (0, 1) if p[k:]}


def _stacks(
    scanned: Mapping[Path, tuple[int, int]], tensors: list[Tensor], shapes: Iterable[Shape]
) -> Iterator[tuple[Path, int]]:
    """Yields (path, how many layers) of each module, the outermost, all of whose variables are scanned."""
    theirs = {tuple(sorted(shape)) for shape in shapes}
    places = {tensor.path[1:] if tensor.path[1:] in scanned else tensor.path: tensor for tensor in tensors}
    done: set[Path] = set()
    counts = {path: count for path, (count, _) in scanned.items()}
    for path, count in counts.items():
        for end in range(1, len(path)):
            inside = [place for place in places if place[:end] == path[:end]]
            if path[:end] in done or not inside or any(counts.get(place) != count for place in inside):
                continue
            done.add(path[:end])
            alike = (tuple(sorted(places[place].shape)) in theirs for place in inside if len(places[place].shape) > 2)
            if not any(path[:n] in done for n in range(1, end)) and not (any(alike) and all(alike)):
                yield path[:end], count
            break


class Unstacked(Called):
    """The model with an array for every layer of its stacks; as it runs, the arrays are joined, and scans are loops.

    sizes: {where a stack stands: how many layers}
    axes:  {path of a variable: the axis along which layers are stacked}
    """

    def __init__(self, inner: FlaxModel, sizes: Mapping[Path, int], axes: Mapping[Path, int]):
        self.inner = inner
        self.sizes, self.axes = dict(sizes), dict(axes)
        self.stacks = {
            (*stack[:-1], part_name(stack[-1], n)): stack for stack, count in self.sizes.items() for n in range(count)
        }
        self.name = inner.name
        self.params = self.apart(inner.params)
        self.buffers = self.apart(inner.buffers)

    @property
    def module(self) -> Any:
        """Returns the module, to be looked at alone."""
        return self.inner.module  # type: ignore[attr-defined]

    @property
    def as_written(self) -> FlaxModel:
        return self.inner

    def apart(self, tree: Tree) -> Tree:
        flat: dict[Path, Any] = {}
        for path, x in flatten(tree):
            places = self._parts(path, x)
            axis = self._axis(path)
            flat |= {path: x} if not places else {p: _part(x, number, axis) for number, p in enumerate(places)}
        return unflatten(flat)

    def _axis(self, path: Path) -> int:
        return self.axes.get(path, self.axes.get(path[1:], 0))  # Linen's buffers have their collection in front

    def _parts(self, path: Path, array: Any = None) -> list[Path]:
        """Returns the paths of the parts of an array in a stack, or of a module; of any other, none."""
        axis = self._axis(path)
        for start in (0, 1):  # Linen's buffers have their collection in front
            for end in range(start + 1, len(path) + 1):
                count = self.sizes.get(path[start:end])
                if count and (array is None or getattr(array, "shape", ())[axis : axis + 1] == (count,)):
                    last = path[end - 1]
                    return [(*path[: end - 1], part_name(last, number), *path[end:]) for number in range(count)]
        return []

    def joined(self, tree: Tree) -> Tree:
        flat = dict(flatten(tree))
        whole: dict[Path, Any] = {}
        for path, x in flat.items():
            place = self._place(path)
            if place == path:
                whole[path] = x
            elif place not in whole:
                whole[place] = jnp.stack([flat[part] for part in self._parts(place)], self._axis(place))
        return self.inner.joined(unflatten(whole))

    def run(
        self,
        function: Callable,
        params: Tree,
        buffers: Tree,
        *inputs: Any,
        train: bool,
        around: Around | None = None,
    ) -> tuple[Any, Tree]:
        whole = self.joined(params), self.joined(buffers)
        stacks = Stacks(_by_path(*whole), self.sizes)
        with ExitStack() as entered:
            entered.enter_context(loops(stacks))
            see = partial(_by_number, around, stacks) if around else None
            result, changed = self.inner.run(function, *whole, *inputs, train=train, around=see)
        return result, self.apart(changed)

    def in_precision(self, dtype: str) -> "Unstacked":
        return Unstacked(self.inner.in_precision(dtype), self.sizes, self.axes)

    def constants(self) -> set[Path]:
        return {place for path in self.inner.constants() for place in self._parts(path) or [path]}

    def tensors(self, inputs: tuple) -> Iterator[Tensor]:
        if not isinstance(self.inner, NNXModel):
            yield from linen_tensors(self, inputs)
            return
        for tensor in self.inner.tensors(inputs):
            places, axis = self._parts(tensor.path), self._axis(tensor.path)
            owners = self._parts(tensor.owner) or [tensor.owner] * len(places)
            for place, owner in zip(places, owners, strict=True):
                yield replace(tensor, path=place, shape=_without(tensor.shape, axis), owner=owner)
            if not places:
                yield tensor

    def modules(self, inputs: tuple) -> list[Path]:
        others = self.inner.modules(inputs) if isinstance(self.inner, NNXModel) else ()
        return sorted({*kinds_of(self, inputs), *(path for path in others if not self._parts(path))}, key=len)

    def part(self, module: Any, path: Path, params: Tree, buffers: Tree, *, train: bool) -> Part:
        if not isinstance(self.inner, NNXModel):
            return self.inner.part(module, path, params, buffers, train=train)
        whole = self.joined(params), self.joined(buffers)
        place = self._place(path)
        part = self.inner.part(module, place, *whole, train=train)
        if place == path:
            return part
        return replace(part, params=_below(params, path), buffers=_below(buffers, path))

    def _place(self, path: Path) -> Path:
        """Returns where the module or array of a layer stands in the model, which has one for all of a stack."""
        for start in (0, 1):  # Linen's buffers have their collection in front
            for end in range(start + 1, len(path) + 1):
                if stack := self.stacks.get(path[start:end]):
                    return (*path[:start], *stack, *path[end:])
        return path


def _below(tree: Tree, path: Path) -> Tree:
    for name in path:
        tree = tree.get(name, {})
    return tree


def _by_number(around: Around, stacks: Stacks, path: Path, module: Any, call: Callable, *arguments: Any) -> Any:
    return around(stacks.path(path), module, call, *arguments)


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])


def _part(x: Any, number: int, axis: int) -> Any:
    """Returns the part of one layer; of an array's shape, its shape."""
    if isinstance(x, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(_without(x.shape, axis), x.dtype)
    return (np.asarray(x) if isinstance(x, np.ndarray) else x)[(slice(None),) * axis + (number,)]
