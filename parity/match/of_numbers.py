"""Both models as functions of some of their numbers, and the slopes of what they put out along each of them."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jaxtyping import Float

from d2l_jax.functional import Tree
from d2l_jax.weights.leaf import Leaf, flatten, unflatten
from parity.match.draws import SameForAShape
from parity.match.loading import in_jax, loaded
from parity.match.projections import slow_attention
from parity.match.search import Search, in_float64
from parity.match.slopes import Slopes, Values
from parity.match.torch_layers import Recorded
from parity.models.calls import Path
from parity.models.copies import copy_of
from parity.models.flax_model import FlaxModel
from parity.models.padding_rows import LOOKUPS
from parity.models.torch_precision import in_precision, torch_precision

Shape = tuple[int, ...]
Layout = tuple[tuple[int, int], ...]
LAYOUTS: tuple[Callable[[int], tuple[int, int]], ...] = (  # from where to where an axis goes, to stand as PyTorch's
    lambda rank: (0, 0),
    lambda rank: (rank - 1, 1),
    lambda rank: (0, 1),
)


def redrawn(recorded: Recorded, leaves: Sequence[Leaf], number: int) -> Recorded:
    """Returns the run with other numbers in the parameters that are known, so that no unit is idle in all rounds."""
    random = np.random.default_rng(number % 2**32)
    keys = {recorded.aliases[key][0]: None for leaf in leaves if leaf.trained for key in leaf.keys}
    drawn = {key: random.permuted(recorded.arrays[key].ravel()).reshape(recorded.arrays[key].shape) for key in keys}
    others = {name: array for key, array in drawn.items() for name in recorded.aliases[key]}
    return replace(recorded, arrays=recorded.arrays | others)


def of_torch(search: Search, known: Sequence[Leaf], keys: Sequence[str]) -> Slopes:
    """Returns PyTorch's model as a function of these tensors; what is known has other numbers in each round."""
    model = in_precision(copy_of(search.torch_model).eval(), torch.float64)
    for module in model.modules():
        if isinstance(module, LOOKUPS):
            module.padding_idx = None  # or its row would have no slope, as Flax's has
    state = model.state_dict(keep_vars=True)
    model.requires_grad_(False)
    tensors = [state[key].requires_grad_() for key in keys]
    inputs = [x.detach().cpu().double() if x.is_floating_point() else x.cpu() for x in search.torch_inputs]
    ends = np.cumsum([tensor.numel() for tensor in tensors])

    def slopes(values: Values, number: int) -> tuple[Float[np.ndarray, "outputs"], Values]:
        arrays = redrawn(search.recorded, known, number).arrays
        model.load_state_dict({key: torch.from_numpy(np.array(x)) for key, x in arrays.items()}, strict=False)
        for tensor, part in zip(tensors, np.split(values, ends[:-1]), strict=True):
            tensor.data.copy_(torch.from_numpy(part).view(tensor.shape))
            tensor.grad = None
        with torch_precision("float64"), slow_attention(), SameForAShape():
            outputs = [x for x in _tensors(model(*inputs)) if x.is_floating_point()]
        weights = map(torch.from_numpy, weights_of([tuple(x.shape) for x in outputs], number))
        sum(((x * w).sum() for x, w in zip(outputs, weights, strict=True)), torch.zeros(())).backward()
        found = [np.zeros(x.numel()) if x.grad is None else x.grad.numpy().ravel() for x in tensors]
        return np.concatenate([x.detach().numpy().ravel() for x in outputs]), np.concatenate(found)

    return slopes


class OfFlax:
    """Flax's model, compiled once for whatever is asked."""

    def __init__(self, search: Search, model: FlaxModel, shapes: Sequence[Shape]):
        self.search = search
        self.shapes = shapes
        self.start = in_float64(model.params), in_float64(model.buffers)
        inputs = in_jax(search.inputs)

        def weighed(params: Tree, buffers: Tree, weights: Sequence[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
            found = [x for x in _arrays(model.apply(params, buffers, inputs, train=False)[0]) if _is_real(x)]
            return sum(((x * w).sum() for x, w in zip(found, weights)), jnp.zeros(())), found

        self.compiled = jax.jit(jax.value_and_grad(weighed, has_aux=True))
        _, found = jax.eval_shape(weighed, *self.start, ())
        self.own = [x.shape for x in found]
        self.shapes_of = {path: x.shape for path, x in flatten(self.start[0])}

    def layouts(self) -> Iterator[Layout]:
        """Yields how outputs may be arranged: for each, which axis is PyTorch's which."""
        done = set()
        for layout in LAYOUTS:
            moves = tuple(layout(len(shape)) if len(shape) > 1 else (0, 0) for shape in self.own)
            if moves not in done and _fit(self.own, moves, self.shapes):
                done.add(moves)
                yield moves

    def slopes(self, leaves: Sequence[Leaf], paths: Sequence[Path], moves: Layout) -> Slopes:
        """Returns the model as a function of these arrays.

        leaves: what has a counterpart, and holds PyTorch's numbers
        """
        shapes = {path: self.shapes_of[path] for path in paths}
        ends = np.cumsum([math.prod(shape) for shape in shapes.values()])

        def slopes(values: Values, number: int) -> tuple[Float[np.ndarray, "outputs"], Values]:
            params, buffers = loaded(leaves, redrawn(self.search.recorded, leaves, number), self.start)
            parts = zip(paths, np.split(values, ends[:-1]), strict=True)
            own = unflatten(
                dict(flatten(params)) | {path: jnp.asarray(part.reshape(shapes[path])) for path, part in parts}
            )
            weights = [
                np.moveaxis(w.reshape(_moved(shape, move)), *move[::-1]) if shape else w.reshape(())
                for w, shape, move in zip(weights_of(self.shapes, number), self.own, moves, strict=True)
            ]
            (_, found), gradient = self.compiled(own, buffers, weights)
            outputs = [np.moveaxis(np.atleast_1d(x), *move).ravel() for x, move in zip(found, moves, strict=True)]
            along = dict(flatten(gradient))
            return np.concatenate(outputs), np.concatenate([np.ravel(along[path]) for path in paths])

        return slopes


def _is_real(x: jax.Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def _moved(shape: Shape, move: tuple[int, int]) -> Shape:
    axes = list(shape)
    axes[move[1] : move[1]] = [axes.pop(move[0])] if axes else []
    return tuple(axes)


def _fit(ours: Sequence[Shape], moves: Layout, theirs: Sequence[Shape]) -> bool:
    """Tells whether outputs have PyTorch's shapes if these axes are moved, axes of size 1 aside, or rows joined."""
    moved = [_moved(shape, move) for shape, move in zip(ours, moves, strict=True)]
    return len(ours) == len(theirs) and all(
        _without_ones(a) == _without_ones(b) or math.prod(a) == math.prod(b) and a[-1:] == b[-1:]
        for a, b in zip(moved, theirs, strict=True)
    )


def _without_ones(shape: Shape) -> Shape:
    return tuple(n for n in shape if n != 1)


def weights_of(shapes: Sequence[Shape], number: int) -> list[Float[np.ndarray, "..."]]:
    """Returns what outputs are weighed by: random numbers, others each time."""
    random = np.random.default_rng(number % 2**32)
    return [random.normal(size=shape) for shape in shapes]


def _tensors(tree: Any) -> list[torch.Tensor]:
    """The tensors of a tree, in order."""
    tree = list(tree.values()) if isinstance(tree, dict) else tree
    if isinstance(tree, tuple | list):
        return [*itertools.chain(*map(_tensors, tree))]
    return [tree] if isinstance(tree, torch.Tensor) else []


def _arrays(tree: Any) -> list[jax.Array]:
    """The arrays of a tree, in order."""
    tree = list(tree.values()) if isinstance(tree, dict) else tree
    if isinstance(tree, tuple | list):
        return [*itertools.chain(*map(_arrays, tree))]
    return [tree] if hasattr(tree, "shape") and hasattr(tree, "dtype") else []
