"""One tensor of PyTorch's and one variable of Flax's: every way in which the one may be the other, the usual first."""

import itertools
import math
import operator
from typing import Any

import torch

from d2l_jax.weights.axes import output_first
from d2l_jax.weights.leaf import Leaf
from parity.match.flax_layers import Variable
from parity.models.cutting import PART

Shape = tuple[int, ...]
TRANSPOSED = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)
ORDERED = (torch.nn.Embedding, torch.nn.EmbeddingBag, torch.nn.LayerNorm)  # the same axes, if square too
AFFINE = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


class AlongWidth(torch.nn.Conv1d):
    """A Conv2d of one channel whose windows are as high as its images: the rows are the channels."""


def ways(
    key: str, shape: Shape, variable: Variable, module: Any, flax_module: Any = None, **options: Any
) -> list[Leaf]:
    """Leaves for PyTorch's tensor `key` of this shape (or these rows of it) and the variable.

    module:      PyTorch's, which says what the axes mean
    flax_module: Flax's, if it is known
    """

    def leaf(split: Shape, axes: Shape, flip: Shape = ()) -> Leaf:
        stored = variable.shape
        return Leaf(key, variable.path, variable.trained, variable.dtype, stored, split, axes, shape, flip, **options)

    if PART.sub(r"\1", str(variable.local[-1])) == "kernel" and len(shape) > 1:
        for sizes in ((shape, variable.shape), *_along_fewer(shape, variable.shape)):
            if isinstance(module, TRANSPOSED) and (orders := _transposed(*sizes, flax_module)):
                return [leaf(*order) for order in orders]
            if isinstance(module, AFFINE) and (orders := _affine(*sizes, module) or _by_hand(*sizes, module)):
                return [leaf(*order) for order in orders]
        if isinstance(module, (*TRANSPOSED, *AFFINE)):
            return []
    leaves = [leaf(*order) for order in _orders(shape, variable.shape) or _joined(shape, variable.shape)]
    if isinstance(module, AFFINE) and len(leaves) > 1 and leaves[0].axes == tuple(range(len(leaves[0].axes))):
        leaves[:2] = leaves[1], leaves[0]  # JAX multiplies by (in, out) by hand, too
    return leaves[:1] if isinstance(module, ORDERED) else leaves


def _along_fewer(shape: Shape, stored: Shape) -> list[tuple[Shape, Shape]]:
    """Returns both shapes without the axes along which a window is a single place, where one has more of these."""
    window = tuple(n for n in shape[2:] if n > 1)
    narrow = (*(n for n in stored[:-2] if n > 1), *stored[-2:])
    return [((*shape[:2], *window), narrow)] if window and len(shape) != len(stored) else []


def _transposed(shape: Shape, stored: Shape, flax_module: Any) -> list[tuple]:
    """Orders of a transposed kernel; with `transpose_kernel` Flax itself flips it and exchanges its channels."""
    rank = len(stored)
    if len(shape) != rank:
        return []
    flipped = (stored, (rank - 2, rank - 1, *range(rank - 2)), tuple(range(rank - 2)))
    stock = (stored, output_first(rank), ())
    orders = [stock] if getattr(flax_module, "transpose_kernel", False) else [flipped]
    return [order for order in orders if tuple(stored[axis] for axis in order[1]) == shape]


def _affine(shape: Shape, stored: Shape, module: Any) -> list[tuple]:
    """Orders for (*window, in, out), or a dense kernel with any number of input and output axes."""
    if len(shape) == len(stored) and _permuted(stored, output_first(len(stored))) == shape:
        return [(stored, output_first(len(stored)))]
    outputs = shape[0]
    inputs = math.prod(shape[1:])
    if len(shape) == 4 and isinstance(module, torch.nn.Conv1d):  # windows as wide, or as high, as the images
        axes = (2, 1, 0) if isinstance(module, AlongWidth) else (2, 0, 1)
        one = shape[1] == 1 and len(stored) == 3
        return [(stored, axes)] if one and _permuted(stored, axes) == (outputs, *shape[2:]) else []
    if math.prod(shape[2:]) > 1:  # a window is a dense layer of patches, flattened with their channels last or first
        channels, *window = shape[1:]
        axes = range(len(window) + 2)
        last = ((*window, channels, outputs), (axes[-1], axes[-2], *axes[:-2]))
        first = ((channels, *window, outputs), (axes[-1], *axes[:-1]))
        return [last, first] if stored == (inputs, outputs) and isinstance(module, torch.nn.Linear) else []
    for cut in range(len(stored) + 1):
        if math.prod(stored[:cut]) == inputs and math.prod(stored[cut:]) == outputs:
            return [(stored, (*range(cut, len(stored)), *range(cut)))]
    return []


def _by_hand(shape: Shape, stored: Shape, module: Any) -> list[tuple]:
    """Orders for a kernel that no stock layer has: (parts, in, *out); (*window, channels) of one for each channel."""
    outputs, inputs, *window = shape
    if not window and len(stored) > 2 and stored[1] == inputs and math.prod(stored) == inputs * outputs:
        return [(stored, (0, *range(2, len(stored)), 1))]
    if window and getattr(module, "groups", 1) == outputs > 1 and (inputs, stored) == (1, (*window, outputs)):
        return [(stored, (len(window), *range(len(window))))]
    return []


def _orders(shape: Shape, stored: Shape) -> list[tuple]:
    """The same numbers, axes of size 1 aside: in the same order, channels first, or in any."""
    if math.prod(shape) != math.prod(stored):
        return []
    split = tuple(n for n in stored if n != 1)
    target = tuple(n for n in shape if n != 1)
    rank = len(split)
    if len(target) <= 1 or rank <= 1:  # a bias with an axis for the heads
        return [(split, tuple(range(rank)))] if len(target) <= 1 else []
    usual = [tuple(range(rank)), output_first(rank), (rank - 1, *range(rank - 1))]
    every = [*usual, *itertools.permutations(range(rank))] if rank <= 5 else usual
    return [(split, axes) for axes in dict.fromkeys(every) if _permuted(split, axes) == target]


def _joined(shape: Shape, stored: Shape) -> list[tuple]:
    """Orders after which neighbours among the axes of one side are one of the other's, as heads and their features."""
    target, split = (tuple(n for n in sizes if n != 1) for sizes in (shape, stored))
    if math.prod(target) != math.prod(split):
        return []
    back = [(order, _permuted(target, order)) for order in _falling(target, split)]
    return [
        *((split, axes) for axes in _falling(split, target)),
        *((parts, tuple(order.index(axis) for axis in range(len(order)))) for order, parts in back),
    ]


def _falling(finer: Shape, shape: Shape) -> list[Shape]:
    """Returns the orders of more axes in which neighbours make up those of a shape."""
    rank = len(finer)
    if not 2 <= len(shape) < rank <= 5:
        return []
    usual = [(*range(cut, rank), *range(cut)) for cut in range(rank)]  # as they are, or outputs first
    orders = dict.fromkeys([*usual, *itertools.permutations(range(rank))])
    fitting = [axes for axes in orders if _falls_into(_permuted(finer, axes), shape)]
    # Heads stand before their features in both, whatever stands between them.
    return sorted(fitting, key=lambda axes: _exchanged(axes, finer, shape))


def _exchanged(axes: Shape, stored: Shape, shape: Shape) -> int:
    """Returns how many neighbours within one axis of PyTorch's have the other order among Flax's."""
    starts = {1, *itertools.accumulate(shape, operator.mul)}
    before = [1, *itertools.accumulate(_permuted(stored, axes), operator.mul)]
    return sum(axes[n - 1] > axes[n] for n in range(1, len(axes)) if before[n] not in starts)


def _falls_into(parts: Shape, shape: Shape) -> bool:
    """Tells whether the products of neighbours are the sizes of a shape, in its order."""
    ends = set(itertools.accumulate(parts, operator.mul))
    return ends >= set(itertools.accumulate(shape, operator.mul))


def _permuted(shape: Shape, axes: Shape) -> Shape:
    return tuple(shape[axis] for axis in axes)
