"""How the arguments and results of two calls belong together."""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import numpy as np
import torch
from flax import linen, nnx

from parity.arrays.layout import Axes, between, is_ambiguous, joins, named_leaves, squeezed
from parity.arrays.torch_arrays import to_numpy
from parity.layers.calls import FlaxCall, Values
from parity.layers.masks import mask_of
from parity.layers.nearest import nearest_axes
from parity.layers.results import results_of, states_first
from parity.models.calls import TorchCall
from parity.models.packed import Packed, first_packed, valid_positions

EMBEDDING = (nnx.Embed, linen.Embed)
HEADS = (nnx.LinearGeneral, linen.DenseGeneral)  # heads and their features are two axes, PyTorch's are one
Turn = Callable[[np.ndarray], np.ndarray]


class Mismatch(Exception):
    """Two calls whose arguments or results are not of the same kind: nothing is said about them.

    results: the shapes of Flax's results, where it is they that do not fit
    """

    def __init__(self, text: str, results: tuple[tuple[int, ...], ...] = ()):
        super().__init__(text)
        self.results = results


@dataclass(frozen=True)
class Ports:
    """The arguments and results of two calls, and how they belong together.

    inputs:  for each array among Flax's arguments, the number of PyTorch's tensor, and Flax's axes in its order
    outputs: (name in PyTorch, number among Flax's, Flax's axes in PyTorch's order)
    tensors: PyTorch's tensors, equal ones once
    valid:   {result: where it is compared}, of packed sequences, whose padding is nothing
    turned:  {tensor: (the one that it is made of, how)}, of masks, which stand behind those of the call
    varied:  the numbers of the tensors of which gradients are compared: constants, as a mask of 0 and -inf, take none
    """

    inputs: tuple[tuple[int, Axes], ...]
    outputs: tuple[tuple[str, int, Axes], ...]
    tensors: tuple[torch.Tensor, ...]
    valid: dict[str, np.ndarray] = field(default_factory=dict)
    turned: dict[int, tuple[int, Turn]] = field(default_factory=dict)
    varied: tuple[int, ...] = ()

    @classmethod
    def of(cls, theirs: TorchCall, ours: FlaxCall, values: Values | None = None) -> "Ports":
        """Raises Mismatch where an argument or every result has no partner.

        values: of Flax's call in its model's own run, which tell channels first from last where shapes do not
        """
        if isinstance(ours.module, EMBEDDING) and isinstance(theirs.module, torch.nn.Linear):
            raise Mismatch("its weight is Flax's embedding's, used by `attend` or the like: compared in the model")
        given = named_arguments(theirs.module.forward, theirs.args, theirs.kwargs)
        different = [at for at, (_, x) in enumerate(given) if not _among(x, [other for _, other in given[:at]])]
        called, tensors = [given[at][0] for at in different], [given[at][1] for at in different]
        arrays = named_arguments(type(ours.module).__call__, (None, *ours.args), dict(sorted(ours.kwargs.items())))
        shapes = [x.shape for _, x in arrays]
        order = states_first(ours, len(shapes))
        flat = _decisive(theirs, ours)
        mask = mask_of(theirs.module, ours.module, list(zip(called, tensors)), [(n, x.shape) for n, x in arrays])
        order = [i for i in order if mask is None or i != mask.place]
        # of as many arguments each has its own partner, though two of them be equal, as queries and keys of q, q, v
        partners = given if mask is None and len(given) == len(arrays) else list(zip(called, tensors))
        theirs_named = [(name, tuple(x.shape)) for name, x in partners]
        apart = partial(_distance, [x for _, x in partners], [values.inputs[i] for i in order]) if values else None
        pairs = matched([(arrays[i][0], shapes[i]) for i in order], theirs_named, apart, flat)
        numbers = [next(i for i, x in enumerate(tensors) if _same(x, tensor)) for _, tensor in partners]
        by_place = dict(zip(order, ((numbers[at], axes) for at, axes in pairs), strict=True))
        turned = {len(tensors): (mask.source, mask.turned)} if mask else {}
        if mask:
            by_place[mask.place] = len(tensors), tuple(range(len(shapes[mask.place])))
            tensors.append(torch.as_tensor(mask.turned(to_numpy(tensors[mask.source]))))
        inputs = tuple(by_place[i] for i in range(len(shapes)))
        sequence = first_packed((theirs.args, theirs.kwargs))
        made_of = {source for source, _ in turned.values()}
        needed = {i for i, x in enumerate(tensors) if not (sequence and _is_lengths(x, sequence))} - made_of
        if not {number for number, _ in inputs} >= needed:
            raise Mismatch(f"arguments {[tuple(x.shape) for x in tensors]} in PyTorch, {shapes} in Flax")
        joined = any(joins(shapes[place], tuple(tensors[n].shape)) for place, (n, _) in by_place.items())
        outputs = results_of(theirs, ours, flat, joined)
        if sequence and not any(_is_lengths(tensors[number], sequence) for number, _ in inputs):
            # Flax's final state is that behind the padding, which such a model leaves aside.
            outputs = [output for output in outputs if output[0].endswith(".values")]
        if not outputs and isinstance(theirs.module, torch.nn.EmbeddingBag):
            raise Mismatch("Flax's layer gives single rows, which are added up outside of it: compared in the model")
        if not outputs:
            results = tuple(x.shape for _, x in named_leaves(ours.output, "output"))
            there = [tuple(x.shape) for _, x in named_leaves(theirs.output, "output")]
            raise Mismatch(f"results {there} in PyTorch, {list(results)} in Flax", results)
        packed = [name for name, *_ in outputs if name.endswith(".values")] if sequence else []
        valid = {name: valid_positions(sequence) for name in packed if sequence}
        varied = tuple(i for i, x in enumerate(tensors) if x.is_floating_point() and _among(x, theirs.flowing))
        ports = cls(inputs, tuple(outputs), tuple(tensors), valid, turned, varied)
        return ports._by_values(theirs, values) if values else ports

    def _by_values(self, theirs: TorchCall, values: Values) -> "Ports":
        """Returns the same, with the axes' order of what has equal sizes by the numbers of both models' own runs."""
        results = dict(named_leaves(theirs.output, "output"))
        inputs = tuple(
            (number, nearest_axes(axes, theirs.module, self.tensors[number], array))
            for (number, axes), array in zip(self.inputs, values.inputs, strict=True)
        )
        decided = {len(axes): axes for _, axes in reversed(inputs)}  # a layer's results have its inputs' layout

        def of_result(name: str, number: int, axes: Axes) -> Axes:
            array = values.outputs[number]
            layout = decided.get(len(axes), axes) if is_ambiguous(array.shape) else axes
            return nearest_axes(layout, theirs.module, results[name], array)

        outputs = tuple((name, number, of_result(name, number, axes)) for name, number, axes in self.outputs)
        return replace(self, inputs=inputs, outputs=outputs)


def _among(tensor: torch.Tensor, others: Sequence[torch.Tensor]) -> bool:
    return any(_same(tensor, x) for x in others)


def _same(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    return other.shape == tensor.shape and torch.equal(other, tensor)


def has_equal_sizes(call: FlaxCall) -> bool:
    """Tells whether shapes do not say of some array of a call which of its axes are the channels."""
    return any(is_ambiguous(x.shape) for x in jax.tree.leaves((call.args, call.kwargs, call.output)) if is_array(x))


def has_states_apart(theirs: TorchCall, ours: FlaxCall) -> bool:
    """Tells whether several states of a recurrent layer are like none of PyTorch's but for axes of size 1."""
    if not isinstance(theirs.module, torch.nn.RNNBase):
        return False
    sizes = [sorted(x.shape) for x in tensors_of([theirs.args, theirs.kwargs])]
    arrays = [x for x in jax.tree.leaves((ours.args, ours.kwargs)) if is_array(x)]
    return sum(sorted(x.shape) not in sizes for x in arrays) > 1


def has_joined_axes(theirs: TorchCall, ours: FlaxCall) -> bool:
    """Tells whether several axes of an argument are one on the other side, which its numbers alone prove."""
    flat = _decisive(theirs, ours)
    there = [tuple(x.shape) for x in tensors_of([theirs.args, theirs.kwargs])]
    sizes = [sorted(shape) for shape in there]
    here = [tuple(x.shape) for x in jax.tree.leaves((ours.args, ours.kwargs)) if is_array(x)]
    lone = [shape for shape in here if sorted(shape) not in sizes and flat(shape) not in map(flat, there)]
    return any(joins(shape, other) for shape in lone for other in there)


def _is_lengths(tensor: torch.Tensor, sequence: Packed) -> bool:
    lengths = sequence.lengths
    return lengths is not None and tensor.shape == lengths.shape and torch.equal(tensor, lengths)


def named_arguments(function: Callable, args: tuple, kwargs: dict) -> list[tuple[str, Any]]:
    """Returns (name of the argument, array) of every array that a call is given, in order."""
    places = list(inspect.signature(function).parameters.values())
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [place.name if place.kind in plain else "" for place in places] + [""] * len(args)
    given = [*zip(names, args), *kwargs.items()]
    return [(name, x) for name, value in given for x in tensors_of(value)]


def tensors_of(value: Any) -> list[Any]:
    """Returns the arrays of an argument: PyTorch's, of packed sequences too, or what stands for JAX's, in its order."""
    theirs = [x for _, x in named_leaves(value, "") if isinstance(x, torch.Tensor)]
    return theirs or [x for x in jax.tree.leaves(value, is_leaf=is_array) if is_array(x)]


def is_array(value: Any) -> bool:
    """Tells whether it is an array of either framework, or stands for one."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def matched(
    flax: list[tuple[str, tuple]],
    torch: list[tuple[str, tuple]],
    apart: Callable[[int, int], float] | None = None,
    flat: Callable[[tuple], tuple] = tuple,
) -> Iterator[tuple[int, Axes]]:
    """Returns for each array, (name of the argument, shape), a tensor of the same sizes, or of those that decide.

    Among several it is the one whose argument has the same name, else the first that is left; several arrays may be
    one tensor. States without an axis of layers may stand in any order: their numbers tell.

    apart: (number of the array, number of the tensor) -> how far their numbers are apart in the models' own runs; what
           is one there may have several axes as one
    flat:  a shape -> the sizes that decide
    """
    unused = list(range(len(torch)))
    promised = {name for name, _ in flax}
    for place, (name, shape) in enumerate(flax):
        fits = [i for i, (_, other) in enumerate(torch) if sorted(other) == sorted(shape)]
        free = [i for i in fits if i in unused]
        free.sort(key=lambda i, name=name: (torch[i][0] != name, torch[i][0] in promised))
        if not fits:
            fits = free = [i for i in unused if flat(torch[i][1]) == flat(shape)]
            if len(free) > 1 and apart:
                free.sort(key=lambda i, place=place: apart(place, i))
        if not fits and apart:  # a grid of tokens in a row, windows as further examples
            free = [i for i in unused if joins(shape, torch[i][1]) and apart(place, i) < math.inf]
        number = next(iter(free or fits[::-1]), None)  # keys and values are one tensor, behind the queries
        if number is None:
            raise Mismatch(f"arguments {[s for _, s in torch]} in PyTorch, {[s for _, s in flax]} in Flax")
        unused = [i for i in unused if i != number]
        other = torch[number][1]
        yield number, between(shape, other) if len(shape) == len(other) else tuple(range(len(other)))


def _decisive(theirs: TorchCall, ours: FlaxCall) -> Callable[[tuple], tuple]:
    """Returns which sizes of a shape decide: a mask of another number of axes may mean something else."""
    if isinstance(ours.module, HEADS):
        return _flat
    if isinstance(theirs.module, torch.nn.Linear):
        return partial(features_joined, rows=theirs.output.ndim - 1)
    return squeezed if isinstance(theirs.module, torch.nn.RNNBase) else tuple


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns batch, and all behind it as one: a dense layer's heads, or their features at one place."""
    return (shape[0], math.prod(shape[1:])) if shape else ()


def features_joined(shape: tuple[int, ...], rows: int) -> tuple[int, ...]:
    """Returns the axes of a dense layer's rows, and all behind them as one; as it is where that may be a row's."""
    if shape[rows : rows + 1] and shape[rows] in shape[1:rows] and len(shape) > rows + 1:
        return shape
    return (*shape[:rows], math.prod(shape[rows:]))


def _distance(tensors: Sequence[torch.Tensor], arrays: Sequence[jax.Array], place: int, number: int) -> float:
    """Returns how far an array and a tensor of the same size are apart; nothing near is as far as anything else."""
    theirs = to_numpy(tensors[number]).ravel()
    gap = float(np.linalg.norm(theirs - np.asarray(arrays[place]).ravel()))
    return gap if gap < 1e-6 * float(np.linalg.norm(theirs)) else math.inf
