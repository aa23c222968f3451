"""Makes a twin: of a case of the catalogue, or of two models that were never written to match."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from d2l_jax.turns import Tensors, arguments, check_turns
from d2l_jax.weights.leaf import Leaf
from d2l_jax.weights.rules import leaves
from parity.arrays.key import scores_of
from parity.arrays.layout import Axes, between, named_leaves, of_inputs
from parity.models.copies import copy_of
from parity.models.nnx_model import NNXModel
from parity.models.random_numbers import RandomRequest, given_shapes, numbers
from parity.twin.fields_of_pairing import fields_of, numbers_of
from parity.twin.modules import correspondence
from parity.twin.paired_requests import has_convolutions, paired, pairings
from parity.twin.random_weights import fan_in_of, held_weights, random_weights
from parity.twin.shapes import first_difference
from parity.twin.structure import check_book_sizes, check_settings, check_structure, with_shapes
from parity.twin.torch_side import torch_side
from parity.twin.traces import Shapes, Traced, outputs_alone, trace_flax, trace_torch
from parity.twin.twin import STEPS, Batch, FlaxSide, Problem, State, TorchSide, Twin

IGNORED = 0.25  # share of the targets that do not count
Drawn = Callable[[Shapes, np.random.Generator], Any]


def twin_of(
    case: Case,
    *,
    full: bool = False,
    seed: int = 0,
    steps: int = STEPS,
    size: int | None = None,
    flax: nnx.Module | None = None,
) -> Twin:
    """Returns the two sides of a case, small and odd-sized, or with the book's sizes and a batch of 3 where `full`.

    size: examples in a batch, instead
    flax: Flax's model, where it has been built already

    Raises InputError where the two models are of other names, shapes or settings, small or with the book's sizes.
    """
    if not full:
        check_book_sizes(case)
    random = np.random.default_rng(seed)
    flax = flax or with_shapes(lambda: case.build(seed, probe=not full))
    batches = [_batch(case, full, size, random) for _ in range(steps)]
    theirs = torch_side(case, probe=not full, checked=True)
    twin = pair(case, flax, theirs, batches, random)
    check_settings(case.name, flax, theirs.model)
    return twin


def _batch(case: Case, full: bool, size: int | None, random: np.random.Generator) -> Tensors:
    if case.draw:
        return case.draw(random)
    arrays = case.of_batch_size(3).arrays if full and case.data else case.probe_arrays
    if size is not None:
        arrays = tuple(array._replace(shape=(size, *array.shape[1:])) for array in arrays)
    drawn = tuple(array.random(random) for array in arrays)
    return {"input": drawn[0] if len(drawn) == 1 else drawn}


def pair(
    case: Case, flax: nnx.Module, theirs: TorchSide, batches: Sequence[Tensors], random: np.random.Generator
) -> Twin:
    """Returns two models with tensors of the same names and shapes, that `case` says how to train."""
    check_structure(case.name, flax, theirs.model)
    ours = FlaxSide(NNXModel(flax), case.turns, case.checked)
    drawn = None if case.draw else partial(targets, case.labels, case.ignored)
    return make_twin(case.name, ours, theirs, leaves(flax), batches, drawn, random)


def make_twin(
    name: str,
    flax: FlaxSide,
    theirs: TorchSide,
    tensors: list[Leaf],
    batches: Sequence[Tensors],
    drawn: Drawn | None,
    random: np.random.Generator,
    held: dict[str, np.ndarray] | None = None,
    input_axes: dict[str, Axes] | None = None,
) -> Twin:
    """Returns the same random weights, targets and random numbers for both.

    drawn:  (shapes of the outputs, random numbers) -> targets, as `targets` draws them; None where the batches have all
    held:   the weights of Flax's model, where PyTorch's own take the place of random ones
    input_axes: of inputs that PyTorch wants in another order than images and sequences usually have

    Raises InputError where a turn trains nothing, two turns the same leaf, or the outputs differ in number or shape.
    """
    check_turns(flax.turns, [leaf.key for leaf in tensors if leaf.trained])
    weights = random_weights(tensors, theirs.model, random) if held is None else held_weights(theirs.model)
    axes = _input_axes(batches[0]) | (input_axes or {})
    names = correspondence(tensors, theirs.model, flax.model.modules(arguments(batches[0].get("input", ()))))
    forward = [outputs_alone] if drawn else []
    traced = partial(_traced, flax, theirs, batches[0], axes, names, forward)
    ours, other = traced(train=True)
    where = partial(first_difference, flax.model, copy_of(theirs.model).cpu(), batches[0], axes, names)
    _check_outputs(name, ours.shapes, other.shapes, where if drawn else lambda: "")
    axes |= _output_axes(ours.shapes, other.shapes, drawn is not None)
    found, *others = pairings(ours.requests, other.requests)
    shapes = given_shapes(found.requests, other.requests, found.order)
    complete = tuple(_with_targets(batch, drawn, ours.shapes, found.requests, random, shapes) for batch in batches)
    evaluation_order: tuple[int, ...] = ()
    awake, lone = (), ()
    if forward and (found.order or found.extra):
        complete, evaluation_order, awake, lone = _with_evaluation(complete, *traced(train=False), random)
    in_twin = partial(fields_of, ours.repeated, other.requests, has_convolutions(theirs.model))
    drawing = partial(numbers_of, pytorch=other.requests, batches=len(batches), random=random)
    return Twin(
        name=name,
        leaves=tensors,
        start=State(weights),
        batches=complete,
        axes=axes,
        names=names,
        turns=tuple((turn.name, turn.trains) for turn in flax.turns),
        flax=flax,
        torch=theirs,
        held=held or {},
        evaluation_order=evaluation_order,
        lone=lone,
        awake=tuple(place for place in awake if place not in found.dropping),
        otherwise=tuple((in_twin(each), drawing(each)) for each in others),
        **in_twin(found),
    )


def _input_axes(batch: Tensors) -> dict[str, Axes]:
    return {key: of_inputs(np.ndim(x)) for name, value in batch.items() for key, x in named_leaves(value, name)}


def _output_axes(ours: Shapes, theirs: Shapes, with_targets: bool) -> dict[str, Axes]:
    """Returns the axes of the outputs, which the targets that are like them have, too."""
    axes = {key: between(shape, theirs[key]) for key, shape in ours.items()}
    if with_targets:
        axes |= {name: axes[key] for name, key in zip(target_names(ours), ours, strict=True)}
    return axes


def _with_targets(
    batch: Tensors,
    drawn: Drawn | None,
    outputs: Shapes,
    requests: Sequence[RandomRequest],
    random: np.random.Generator,
    shapes: list[tuple],
) -> Batch:
    if drawn:
        batch = batch | {"targets": drawn(outputs, random)}
    return Batch(batch, numbers(requests, random, shapes))


def _traced(
    flax: FlaxSide, theirs: TorchSide, batch: Tensors, axes: dict[str, Axes], names: dict, forward: list, train: bool
) -> tuple[Traced, Traced]:
    ours = trace_flax(flax, batch, names, forward, train)
    other = trace_torch(theirs, batch, axes, names, forward, train)
    if other.awake > ours.awake:  # each mask of which it is asked takes two runs
        other = replace(other, requests=other.asked())
    return ours, other


def _with_evaluation(
    batches: tuple[Batch, ...], ours: Traced, theirs: Traced, random: np.random.Generator
) -> tuple[tuple[Batch, ...], tuple[int, ...], tuple[str, ...], tuple[str, ...]]:
    """Returns the batches with numbers for evaluation, their order in PyTorch, and the places where it drops alone.

    What else one of them draws alone is not imposed: the outputs differ, and the mode of a dropout is blamed. Of Flax's
    alone the requests are returned last, in words.
    """
    try:
        found = paired(ours.requests, theirs.requests)
    except InputError:
        lone = [f"{request.shape} in {request.place or 'the model itself'}" for request in ours.requests]
        return batches, (), (), () if theirs.requests else tuple(lone)
    drawn = numbers_of(found, theirs.requests, len(batches), random)
    complete = tuple(replace(b, evaluation_numbers=some) for b, some in zip(batches, drawn, strict=True))
    return complete, found.order, found.dropping, ()


def _check_outputs(name: str, ours: Shapes, theirs: Shapes, where: Callable[[], str]) -> None:
    if len(ours) != len(theirs):
        listed = (", ".join(map(str, shapes.values())) or "nothing" for shapes in (theirs, ours))
        raise InputError("{}: outputs differ: PyTorch returns {}; Flax returns {}".format(name, *listed))
    if ours.keys() != theirs.keys():
        listed = (", ".join(shapes) for shapes in (theirs, ours))
        raise InputError(
            "{}: outputs are called {} in PyTorch and {} in Flax; tuples, or the same names, are right".format(
                name, *listed
            )
        )
    for output, shape in ours.items():
        their_shape = theirs[output]
        if sorted(shape) != sorted(their_shape):
            text = f"{name}: outputs differ in shape: {their_shape} in PyTorch, {shape} in Flax"
            first = where()
            raise InputError(f"{text}; the first difference is at {first}" if first else text)


def target_names(shapes: Shapes) -> list[str]:
    """Returns the name of the target of each output, whatever the outputs are called: several are a list."""
    return ["targets"] if len(shapes) == 1 else [f"targets.{number}" for number in range(len(shapes))]


def targets(
    labels: bool, ignored: int | None, shapes: Shapes, random: np.random.Generator, probabilities: bool = False
) -> Any:
    """Returns random classes, some of them `ignored`; or arrays like the outputs, a list of them for several.

    probabilities: these are within 0 and 1
    """
    if labels:
        *positions, classes = shapes[scores_of(shapes)]
        y = random.integers(0, classes, positions)
        return y if ignored is None else np.where(random.random(positions) < IGNORED, ignored, y)
    draw = random.uniform if probabilities else random.normal
    arrays = [np.asarray(draw(size=shape), np.float32) for shape in shapes.values()]
    return arrays[0] if len(arrays) == 1 else arrays


def longest_sum(twin: Problem) -> int:
    """Returns about the number of terms of the longest sum: a layer's inputs, or a gradient's batch positions."""
    fan_in = max(map(fan_in_of, twin.leaves), default=1)
    first = next((array for _, array in twin.batches[0].leaves()), np.zeros(()))
    return max(fan_in, math.prod(first.shape[:-1]))
