"""A Flax model with single arrays cut along an axis: what it keeps in one, such as q, k and v, PyTorch keeps apart."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from d2l_jax.functional import Tree
from d2l_jax.weights.leaf import flatten, unflatten
from parity.models.calls import Around, Path
from parity.models.cutting import Cuts, Piece
from parity.models.flax_model import Called, FlaxModel, Part, Tensor


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
        return frozenset(self.pieces)

    @property
    def pieces(self) -> dict[Path, Piece]:
        """The pieces by their paths."""
        return {place: piece for path, cutting in self.cuts.items() for place, piece, _ in cutting.places(path)}

    @property
    def promised(self) -> frozenset[str]:
        """The names of PyTorch's tensors that parts were made for."""
        return frozenset(piece.key for cutting in self.cuts.values() for piece in cutting.pieces)

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
        whole = joined(params, self.cuts)
        return self.inner.run(function, whole, buffers, *inputs, train=train, around=around)

    def apart(self, tree: Tree) -> Tree:
        return _apart(self.inner.apart(tree), self.cuts)

    def joined(self, tree: Tree) -> Tree:
        return self.inner.joined(joined(tree, self.cuts))

    def in_precision(self, dtype: str) -> "Cut":
        return Cut(self.inner.in_precision(dtype), self.cuts)

    def constants(self) -> set[Path]:
        return self.inner.constants()

    def tensors(self, inputs: tuple) -> Iterator[Tensor]:
        for tensor in self.inner.tensors(inputs):
            cutting = self.cuts.get(tensor.path) if tensor.trained else None
            if cutting is None:
                yield tensor
                continue
            axis, shape = cutting.axis, tensor.shape
            for place, piece, _ in cutting.places(tensor.path):
                width = cutting.blocks * piece.width
                yield replace(tensor, path=place, shape=(*shape[:axis], width, *shape[axis + 1 :]))

    def modules(self, inputs: tuple) -> list[Path]:
        return self.inner.modules(inputs)

    def part(self, module: Any, path: Path, params: Tree, buffers: Tree, *, train: bool) -> Part:
        part = self.inner.part(module, path, joined(params, self.cuts), buffers, train=train)
        inside = {place[len(path) :]: cut for place, cut in self.cuts.items() if place[: len(path)] == path}
        if not inside:
            return part

        def apply(params: Tree, buffers: Tree, args: tuple, kwargs: dict) -> tuple[Any, Tree]:
            return part.apply(joined(params, inside), buffers, args, kwargs)

        return replace(part, key=(part.key, *inside), apply=apply, params=_apart(part.params, inside))


def _apart(tree: Tree, cuts: Cuts) -> Tree:
    flat = dict(flatten(tree))
    for path, cutting in cuts.items():
        if path in flat:
            parts = cutting.apart(flat.pop(path))
            flat |= {place: part for (place, _, _), part in zip(cutting.places(path), parts, strict=True)}
    return unflatten(flat)


def joined(tree: Tree, cuts: Cuts) -> Tree:
    """Returns a tree in which pieces are one array again."""
    flat = dict(flatten(tree))
    for path, cutting in cuts.items():
        parts = [flat.pop(place) for place, _, _ in cutting.places(path) if place in flat]
        if parts:
            flat[path] = cutting.joined(parts)
    return unflatten(flat)
