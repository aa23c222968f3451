"""A Flax model in which PyTorch's tensors stand as parameters, where its arrays hold their numbers between them."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from d2l_jax.functional import Tree
from d2l_jax.weights.leaf import Leaf, flatten, unflatten
from parity.models.calls import Around, Path
from parity.models.flax_model import Called, FlaxModel, Part, Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Weave:
    """Some arrays and the tensors that they hold.

    arrays:  {path: shape}, of Flax's
    tensors: {path: shape}, as they are called in their place
    places:  of each number of the tensors', one tensor behind the other, among those of the arrays
    """

    arrays: Mapping[Path, Shape]
    tensors: Mapping[Path, Shape]
    places: Int[np.ndarray, "numbers"]

    def apart(self, arrays: Sequence[Any]) -> list[Any]:
        """Returns the tensors, or their shapes; of an optimiser's state that is no such array, itself."""
        return _dealt(arrays, self.arrays, self.tensors, self.places)

    def joined(self, tensors: Sequence[Any]) -> list[Any]:
        """Returns the reverse of `apart`."""
        return _dealt(tensors, self.tensors, self.arrays, np.argsort(self.places))


def _dealt(given: Sequence[Any], shapes: Mapping[Path, Shape], wanted: Mapping[Path, Shape], places: Any) -> list[Any]:
    if [getattr(x, "shape", None) for x in given] != [*shapes.values()]:
        return [given[0] for _ in wanted]
    if isinstance(given[0], jax.ShapeDtypeStruct):
        return [jax.ShapeDtypeStruct(shape, given[0].dtype) for shape in wanted.values()]
    numbers = jnp.concatenate([jnp.ravel(x) for x in given])
    ends = itertools.accumulate(map(math.prod, wanted.values()))
    return [
        numbers[places[end - math.prod(shape) : end]].reshape(shape)
        for shape, end in zip(wanted.values(), ends, strict=True)
    ]


class Woven(Called):
    """The model with PyTorch's tensors as parameters; as it runs, its own arrays are made of them."""

    def __init__(self, inner: FlaxModel, weaves: Sequence[Weave]):
        self.inner = inner
        self.weaves = tuple(weaves)
        self.name = inner.name
        self.params = apart(inner.params, self.weaves)
        self.buffers = inner.buffers

    @property
    def module(self) -> Any:
        """Returns the module, to be looked at alone."""
        return self.inner.module  # type: ignore[attr-defined]

    def run(
        self, function: Callable, params: Tree, buffers: Tree, *inputs: Any, train: bool, around: Around | None = None
    ) -> tuple[Any, Tree]:
        whole = woven(params, self.weaves)
        return self.inner.run(function, whole, buffers, *inputs, train=train, around=around)

    def apart(self, tree: Tree) -> Tree:
        return apart(self.inner.apart(tree), self.weaves)

    def joined(self, tree: Tree) -> Tree:
        return self.inner.joined(woven(tree, self.weaves))

    def in_precision(self, dtype: str) -> "Woven":
        return Woven(self.inner.in_precision(dtype), self.weaves)

    def constants(self) -> set[Path]:
        return self.inner.constants()

    def tensors(self, inputs: tuple) -> Iterator[Tensor]:
        of = {path: weave for weave in self.weaves for path in weave.arrays}
        for tensor in self.inner.tensors(inputs):
            weave = of.get(tensor.path)
            if weave is None:
                yield tensor
            elif tensor.path == next(iter(weave.arrays)):
                yield from (replace(tensor, path=path, shape=shape) for path, shape in weave.tensors.items())

    def modules(self, inputs: tuple) -> list[Path]:
        return self.inner.modules(inputs)

    def part(self, module: Any, path: Path, params: Tree, buffers: Tree, *, train: bool) -> Part:
        part = self.inner.part(module, path, woven(params, self.weaves), buffers, train=train)
        inside = [local for weave in self.weaves if (local := _within(weave, path))]
        if not inside:
            return part

        def apply(params: Tree, buffers: Tree, args: tuple, kwargs: dict) -> tuple[Any, Tree]:
            return part.apply(woven(params, inside), buffers, args, kwargs)

        key = part.key, *(tuple(weave.tensors.items()) + tuple(weave.places.tolist()) for weave in inside)
        return replace(part, key=key, apply=apply, params=apart(part.params, inside))


def _within(weave: Weave, path: Path) -> Weave | None:
    """Returns the weave as seen from a module; None of one that reaches beyond it."""
    if all(place[: len(path)] == path for place in (*weave.arrays, *weave.tensors)):
        arrays, tensors = (
            {place[len(path) :]: shape for place, shape in each.items()} for each in (weave.arrays, weave.tensors)
        )
        return Weave(arrays, tensors, weave.places)
    return None


def apart(tree: Tree, weaves: Iterable[Weave]) -> Tree:
    """Returns a tree with tensors in place of the arrays that hold them."""
    flat = dict(flatten(tree))
    for weave in weaves:
        if weave.arrays.keys() <= flat.keys():
            given = [flat.pop(path) for path in weave.arrays]
            flat |= dict(zip(weave.tensors, weave.apart(given), strict=True))
    return unflatten(flat)


def woven(tree: Tree, weaves: Iterable[Weave]) -> Tree:
    """Returns the reverse of `apart`."""
    flat = dict(flatten(tree))
    for weave in weaves:
        if weave.tensors.keys() <= flat.keys():
            given = [flat.pop(path) for path in weave.tensors]
            flat |= dict(zip(weave.arrays, weave.joined(given), strict=True))
    return unflatten(flat)


def weaves_of(leaves: Iterable[Leaf]) -> list[Weave]:
    """Returns the weaves that leaves tell of, as a map keeps them."""
    told = {leaf.path: leaf for leaf in leaves if leaf.numbers}
    groups: list[tuple[set[Path], list[Leaf]]] = []
    for leaf in told.values():
        paths = {path for path, *_ in leaf.numbers}
        near = [group for group in groups if group[0] & paths]
        groups = [group for group in groups if not group[0] & paths]
        groups.append((paths.union(*(g[0] for g in near)), [*itertools.chain(*(g[1] for g in near)), leaf]))
    return [_weave(each) for _, each in groups]


def _weave(leaves: Sequence[Leaf]) -> Weave:
    arrays = {path: shape for leaf in leaves for path, shape, *_ in leaf.numbers}
    starts = dict(zip(arrays, itertools.accumulate(map(math.prod, arrays.values()), initial=0)))
    places = []
    for leaf in leaves:
        own = np.empty(math.prod(leaf.stored), int)
        for path, _, here, there in leaf.numbers:
            own[np.asarray(here, int)] = starts[path] + np.asarray(there, int)
        places.append(own)
    return Weave(arrays, {leaf.path: leaf.stored for leaf in leaves}, np.concatenate(places))
