"""A Flax model with single arrays cut along an axis: what it keeps in one, such as q, k and v, PyTorch keeps apart."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from d2l_jax.functional import Tree
from d2l_jax.weights.leaf import flatten, unflatten
from parity.models.calls import Around, Path
from parity.models.flax_model import Called, FlaxModel, Part, Tensor

# {the path of an array: the axis that is cut, and of each part how wide it is and which of PyTorch's tensors it is}
Cuts = Mapping[Path, tuple[int, tuple[tuple[int, str], ...]]]
PART = re.compile(r"(.+)\[axis (\d+), (\d+) to (\d+)\]/(.+)")


def cuts_of(paths: Iterable[Path]) -> Cuts:
    """Returns the cuts that the paths of parts tell, as a map names them."""
    found = [(path[:-1], match.groups()) for path in paths if (match := PART.fullmatch(str(path[-1])))]
    wholes: dict[Path, list[tuple[int, int, int, str]]] = {}
    for above, (last, axis, start, end, key) in found:
        wholes.setdefault((*above, last), []).append((int(axis), int(start), int(end), key))
    return {
        path: (parts[0][0], tuple((end - start, key) for _, start, end, key in sorted(parts)))
        for path, parts in wholes.items()
    }


class Cut(Called):
    """The model with parts of arrays as parameters; as it runs, they are joined."""

    def __init__(self, inner: FlaxModel, cuts: Cuts):
        self.inner = inner
        self.cuts = dict(cuts)
        self.name = inner.name
        self.params = _apart(inner.params, self.cuts)
        self.buffers = inner.buffers

    @property
    def parts(self) -> frozenset[Path]:
        """The paths of all parts: they are of no layer's own."""
        return frozenset(place for path, cut in self.cuts.items() for place, _, _ in _places(path, cut))

    @property
    def promised(self) -> frozenset[str]:
        """The names of PyTorch's tensors that parts were made for."""
        return frozenset(key for _, parts in self.cuts.values() for _, key in parts)

    @property
    def module(self) -> Any:
        """Returns the module, to be looked at alone."""
        return self.inner.module  # type: ignore[attr-defined]

    def run(
        self,
        function: Callable,
        params: Tree,
        buffers: Tree,
        *inputs: Any,
        train: bool,
        around: Around | None = None,
    ) -> tuple[Any, Tree]:
        whole = _joined(params, self.cuts)
        return self.inner.run(function, whole, buffers, *inputs, train=train, around=around)

    def apart(self, tree: Tree) -> Tree:
        return _apart(self.inner.apart(tree), self.cuts)

    def cut(self, tree: Tree) -> Tree:
        """Returns a tree like the inner model's parameters with its arrays cut."""
        return _apart(tree, self.cuts)

    def joined(self, tree: Tree) -> Tree:
        """Returns the reverse of `cut`."""
        return _joined(tree, self.cuts)

    def in_precision(self, dtype: str) -> "Cut":
        return Cut(self.inner.in_precision(dtype), self.cuts)

    def constants(self) -> set[Path]:
        return self.inner.constants()

    def tensors(self, inputs: tuple) -> Iterator[Tensor]:
        for tensor in self.inner.tensors(inputs):
            cut = self.cuts.get(tensor.path) if tensor.trained else None
            if cut is None:
                yield tensor
                continue
            for place, start, end in _places(tensor.path, cut):
                shape = tuple(end - start if axis == cut[0] else n for axis, n in enumerate(tensor.shape))
                yield replace(tensor, path=place, shape=shape)

    def modules(self, inputs: tuple) -> list[Path]:
        return self.inner.modules(inputs)

    def part(self, module: Any, path: Path, params: Tree, buffers: Tree, *, train: bool) -> Part:
        part = self.inner.part(module, path, _joined(params, self.cuts), buffers, train=train)
        inside = {place[len(path) :]: cut for place, cut in self.cuts.items() if place[: len(path)] == path}
        if not inside:
            return part

        def apply(params: Tree, buffers: Tree, args: tuple, kwargs: dict) -> tuple[Any, Tree]:
            return part.apply(_joined(params, inside), buffers, args, kwargs)

        return replace(part, key=(part.key, *inside), apply=apply, params=_apart(part.params, inside))


def _places(path: Path, cut: tuple[int, tuple[tuple[int, str], ...]]) -> Iterator[tuple[Path, int, int]]:
    """Yields (path, first, end) of each part of an array."""
    axis, parts = cut
    ends = list(itertools.accumulate(width for width, _ in parts))
    for (width, key), end in zip(parts, ends, strict=True):
        yield (*path[:-1], f"{path[-1]}[axis {axis}, {end - width} to {end}]/{key}"), end - width, end


def _apart(tree: Tree, cuts: Cuts) -> Tree:
    flat = dict(flatten(tree))
    for path, cut in cuts.items():
        if path in flat:
            x, width = flat.pop(path), sum(width for width, _ in cut[1])
            whole = getattr(x, "shape", ())[cut[0] :][:1] != (width,)  # of an optimiser's state, and no such array
            flat |= {place: x if whole else _slice(x, cut[0], start, end) for place, start, end in _places(path, cut)}
    return unflatten(flat)


def _slice(x: Any, axis: int, start: int, end: int) -> Any:
    """Returns the part of an array; of an array's shape, its shape."""
    if isinstance(x, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct((*x.shape[:axis], end - start, *x.shape[axis + 1 :]), x.dtype)
    return x[(slice(None),) * axis + (slice(start, end),)]


def _joined(tree: Tree, cuts: Cuts) -> Tree:
    flat = dict(flatten(tree))
    for path, cut in cuts.items():
        parts = [flat.pop(place) for place, _, _ in _places(path, cut) if place in flat]
        if parts:
            widths = [getattr(part, "shape", ())[cut[0] :][:1] for part in parts]
            cut_so = widths == [(width,) for width, _ in cut[1]]
            flat[path] = jnp.concatenate(parts, cut[0]) if cut_so else parts[0]
    return unflatten(flat)
