"""Tensors that no call of a layer tells apart: each is asked for by itself, while the others hold the same numbers."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jaxtyping import Num

from d2l_jax.weights.leaf import Leaf
from parity.match.arrangement import EXACT, NEAR
from parity.match.draws import AnswersOfPyTorch
from parity.match.leftovers import ways_of
from parity.match.loading import in_jax, loaded
from parity.match.passing import Pass
from parity.match.search import Found, Search, in_float64, outputs_gap
from parity.match.torch_layers import Recorded
from parity.models.answering import answering
from parity.models.calls import Path
from parity.models.exact import exact
from parity.models.flax_model import FlaxModel

Array = Num[np.ndarray, "..."]
Shape = tuple[int, ...]
MOST = 200  # runs of Flax's model


def settled(search: Search, model: FlaxModel, found: Found) -> list[Leaf] | None:
    """Returns the map under which both compute the same; None where no exchange of tensors of a size leads to it.

    All tensors of a size that no layer has told hold the same numbers at first, whatever the order of their axes: the
    outputs agree where all else is right. Then each in turn has numbers of its own, and is sought among Flax's.
    """
    told = set(_told(found.run))
    asked = [leaf.key for leaf in found.leaves if leaf.key not in told and _plain(leaf, found)]
    if found.run.error is not None or not asked:
        return None
    leaves = found.leaves
    numbers = _same_numbers([leaf for leaf in leaves if leaf.key in asked])
    with exact(), jax.default_matmul_precision("highest"):
        flax = _Flax(search, model)
        if flax.gap(leaves, search.again(numbers)) > NEAR:
            return None
        for number, key in enumerate(asked):
            recorded = search.again({other: x for other, x in numbers.items() if other != key})
            tried = itertools.islice(_exchanged(leaves, asked[number:], found), MOST // len(asked) + 1)
            leaves = _nearest(flax, tried, recorded)
            if leaves is None:
                return None
        order = list(search.recorded.arrays)
        leaves = sorted(leaves, key=lambda leaf: order.index(leaf.key))
        return leaves if flax.gap(leaves, search.recorded) < NEAR else None


def _told(run: Pass) -> Iterator[str]:
    """Yields the tensors that their layer and their size tell, or names: of PyTorch's own layers, and equal ones."""
    for layer, leaves in ((each.layer, each.leaves) for each in run.partners.values() if not each.guessed):
        sizes = [_size(leaf.shape) for leaf in leaves]
        for leaf, size in zip(leaves, sizes, strict=True):
            alone = sizes.count(size) == 1 and len(set(size)) == len(size)
            named = leaf.key == ".".join(map(str, leaf.path))
            if alone or named or type(layer.module).__module__.startswith("torch."):
                yield leaf.key


def _size(shape: Shape) -> Shape:
    return tuple(sorted(size for size in shape if size > 1))


def _plain(leaf: Leaf, found: Found) -> bool:
    """Tells whether a tensor is one parameter of Flax's, whole."""
    alone = len(found.run.recorded.aliases[leaf.key]) == 1 and leaf.path not in found.run.variables.pieces
    return alone and leaf.trained and leaf.rows is None and not leaf.merged


def _same_numbers(leaves: Sequence[Leaf]) -> dict[str, Array]:
    """Returns random tensors, equal where their sizes are, and symmetric in axes of one size."""
    random = np.random.default_rng(1)
    of_sizes: dict[Shape, Array] = {}
    tensors = {}
    for leaf in leaves:
        sizes = [size for size in leaf.shape if size > 1]
        order = np.argsort(sizes, kind="stable")
        size = tuple(sizes[axis] for axis in order)
        if size not in of_sizes:
            of_sizes[size] = _symmetric(
                random.uniform(-1, 1, size) if len(size) > 1 else random.uniform(0.5, 1.5, size)
            )
        tensors[leaf.key] = of_sizes[size].transpose(np.argsort(order)).reshape(leaf.shape)
    return tensors


def _symmetric(x: Array) -> Array:
    """Returns the mean over all orders of axes that keep the shape."""
    orders = [axes for axes in itertools.permutations(range(x.ndim)) if x.transpose(axes).shape == x.shape]
    return np.mean([x.transpose(axes) for axes in orders], axis=0)


def _exchanged(leaves: list[Leaf], keys: Sequence[str], found: Found) -> Iterator[list[Leaf]]:
    """Yields maps in which the first of these tensors is each of them, in each order of axes; the map itself first.

    Those before are settled, and stay.
    """
    yield leaves
    recorded, run = found.run.recorded, found.run
    modules = {key: layer for layer in recorded.layers if layer.whole is None for key in layer.tensors.values()}

    def fits(key: str, path: Path) -> list[Leaf]:
        variable = run.variables.all[path]
        return ways_of(key, modules.get(key), variable, run.layers.get(path[:-1]), recorded, {})

    own = next(leaf for leaf in leaves if leaf.key == keys[0])
    for other in (leaf for leaf in leaves if leaf.key in keys):
        back = fits(other.key, own.path)
        for leaf in fits(own.key, other.path) if back else ():
            moved = {own.path: back[0], other.path: leaf}
            yield [moved.get(each.path, each) for each in leaves]


def _nearest(flax: "_Flax", tried: Iterator[list[Leaf]], recorded: Recorded) -> list[Leaf] | None:
    """Returns the map under which the outputs are nearest, the first that is exact; None where all are far."""
    best, least = None, NEAR
    for leaves in tried:
        gap = flax.gap(leaves, recorded)
        if gap < least:
            best, least = leaves, gap
        if least < EXACT:
            break
    return best


@dataclass
class _Flax:
    """Flax's model under one map after the other; compiled once."""

    search: Search
    model: FlaxModel

    def __post_init__(self) -> None:
        self.start = in_float64(self.model.params), in_float64(self.model.buffers)
        self.run = jax.jit(partial(self.model.apply, train=False))
        self.inputs = in_jax(self.search.inputs)

    def gap(self, leaves: Sequence[Leaf], recorded: Recorded) -> float:
        """Returns how far the outputs are apart, in the arrangement that suits best."""
        trees = loaded(leaves, recorded, self.start)
        try:
            with answering(AnswersOfPyTorch(recorded.drawn)):
                output, _ = self.run(*trees, self.inputs)
        except Exception:  # of the user's own model
            return np.inf
        return outputs_gap(output, recorded.output)
