"""The twin of a user's own pair: two models that were never written to match."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen, nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.core import Tracer

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf, export
from parity.arrays.key import input_names
from parity.models.complex_parts import in_parts
from parity.models.complex_parts_torch import in_parts as torch_in_parts
from parity.models.copies import copy_of
from parity.models.evaluation import both_evaluate, staying
from parity.models.flax_model import FlaxModel, called, in_names, mode
from parity.models.linen_model import LinenModel
from parity.models.nnx_model import NNXModel
from parity.models.sparse import with_numbers
from parity.models.torch_buffers import as_buffers, frozen_tables
from parity.models.torch_precision import has_attributes, with_attributes
from parity.models.unstacked import unstacked
from parity.models.wrapped_model import held_variables, is_wrapper, wrapped
from parity.twin.explain import explained
from parity.twin.half_precision import check_not_half
from parity.twin.inputs import Inputs, check_order, check_steps, given_as, in_torch_order
from parity.twin.learning import Learning
from parity.twin.merged_biases import moved_as_sums
from parity.twin.optional_outputs import without_optional
from parity.twin.other_batches import another
from parity.twin.outputs_by_mode import are_others, outputs_of, with_axes, without_loss
from parity.twin.pairing import make_twin, targets
from parity.twin.structure import with_shapes
from parity.twin.twin import STEPS, Twin
from parity.twin.weight_map import weight_map


def twin_of_pair(
    model: nnx.Module | linen.Module | Callable[[], nnx.Module],
    torch_model: torch.nn.Module,
    inputs: Any,
    variables: Any = None,
    learning: Learning | None = None,
    weights: str | Path | Sequence[Leaf] | None = None,
    labels: bool | None = None,
    steps: int = STEPS,
    as_they_are: bool = False,
) -> Twin:
    """Returns the twin of a user's own pair; the arguments are those of `parity.check`.

    labels: targets are random classes; None where the loss tells
    """
    check_steps(steps)
    batch = Inputs.of(inputs)
    check_order(model, torch_model)
    whole = as_they_are or weights is not None
    if inspect.isroutine(model) or isinstance(model, type | partial):
        model = _module_of(model, whole)
    variables = _checked_variables(model, variables)
    torch_model = getattr(torch_model, "_orig_mod", torch_model)  # of torch.compile, which computes the same
    torch_model = with_numbers(torch_model)
    torch_model = with_attributes(copy_of(torch_model)) if has_attributes(torch_model) else torch_model
    theirs = given_as(torch_model, batch)
    batch = in_torch_order(batch, theirs)
    try:
        return _twin(model, theirs, batch, variables, learning or Learning(), weights, labels, steps, as_they_are)
    except Exception as error:
        if isinstance(model, nnx.Module | linen.Module) or is_wrapper(model):
            call = partial(type(model).__call__, model)
            explained(error, theirs, partial(_flax_failure, model, variables), call, batch)
        raise


def _checked_variables(model: Any, variables: Any) -> Any:
    """Returns the variables that Linen needs; those that a model holds beside its module, where none are given."""
    if is_wrapper(model):
        return variables or held_variables(model)
    if variables is not None and not isinstance(model, linen.Module):
        raise InputError("variables are those of a Linen module; an NNX module has its own: leave them out")
    if variables is not None and not isinstance(variables, Mapping):
        raise InputError(f"variables is a {type(variables).__name__}; a dict such as {{'params': ...}} is right")
    if variables and "params" not in variables:
        raise InputError(f"variables has {', '.join(map(str, variables))}, no 'params'; {{'params': ...}} is right")
    return variables


def _flax_failure(model: Any, variables: Any, inputs: Inputs) -> Exception | None:
    """Returns what Flax's model raises on the inputs; None where it runs."""
    try:
        flax = _flax_model(model, variables, inputs, whole=False)
        for train in (True, False):
            run = partial(flax.run, called, train=train)
            jax.eval_shape(lambda *args, run=run: run(*args), flax.params, flax.buffers, *inputs.arrays)
    except Exception as error:  # of the user's own model, whatever it is
        return error
    return None


def _twin(
    model: Any,
    torch_model: torch.nn.Module,
    inputs: Inputs,
    variables: Any,
    learning: Learning,
    weights: Any,
    labels: bool | None,
    steps: int,
    as_they_are: bool,
) -> Twin:
    evaluating = both_evaluate(model, torch_model)
    flax = _flax_model(model, variables, inputs, whole=as_they_are or weights is not None, trains=not evaluating)
    check_not_half(flax, torch_model)
    flax = unstacked(flax, inputs.arrays, (tuple(x.shape) for x in torch_model.state_dict().values()))
    flax, torch_model = in_parts(flax), torch_in_parts(torch_model)
    outputs = outputs_of(flax, inputs, train=not evaluating)
    torch_model = without_optional(torch_model, inputs, outputs)
    found = weight_map(flax, model, torch_model, inputs, weights)
    flax, tensors = found.flax, found.leaves
    torch_model = _without_tables(torch_model, tensors)
    random = np.random.default_rng(0)
    batches = [inputs.arrays, *(another(inputs.arrays, random) for _ in range(steps - 1))]
    named = [{"input": batch[0] if len(batch) == 1 else batch} for batch in batches]
    axes = dict(zip(input_names(len(inputs.arrays)), inputs.axes, strict=True))
    ours, theirs = learning.sides(flax, staying(torch_model) if evaluating else torch_model, outputs)
    ours = moved_as_sums(ours, tensors, learning)
    apart = not evaluating and are_others(outputs_of(flax, inputs, train=False), outputs)
    ours, theirs = without_loss(ours, theirs) if apart else (ours, theirs)
    if labels is None:
        labels = learning.of_classes(outputs)
    held = _held(tensors, flax) if as_they_are else None
    drawn = partial(targets, labels, None, probabilities=not labels and learning.of_probabilities(outputs))
    twin = make_twin(flax.name, ours, theirs, tensors, named, drawn, random, held, axes)
    return replace(with_axes(twin) if apart else twin, likeliest=found.likeliest, reordered=found.reordered)


def _without_tables(model: torch.nn.Module, tensors: list[Leaf]) -> torch.nn.Module:
    """Returns PyTorch's model, whose frozen parameters are buffers where the map leaves them out: tables."""
    tables = frozen_tables(model) - {key for leaf in tensors for key in leaf.keys}
    return as_buffers(model, tables) if tables else model


def _held(tensors: list[Leaf], flax: FlaxModel) -> dict[str, np.ndarray]:
    """Returns the values that Flax's model holds, under PyTorch's names and in its layout."""
    params = export([leaf for leaf in tensors if leaf.trained], flax.params)
    return params | export([leaf for leaf in tensors if not leaf.trained], flax.buffers)


def _module_of(make: Callable[[], Any], whole: bool) -> Any:
    """Returns the module that the function makes, without values of its parameters unless it is to be `whole`."""
    parameters = [] if isinstance(make, type) else inspect.signature(make).parameters.values()
    variadic = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    if isinstance(make, type) or any(p.default is p.empty and p.kind not in variadic for p in parameters):
        name = getattr(make, "__name__", make)
        raise InputError(f"{name} is no module; a module, or a function without arguments that makes one, is right")
    if whole:
        return make()
    try:
        model = with_shapes(make)
    except Exception:  # it computes with values, has random numbers from outside, or makes no NNX module
        return make()
    if not isinstance(model, nnx.Module) or _keeps_tracers(model):
        return make()
    several = len(jax.tree.leaves(nnx.state(model, nnx.RngKey))) > 1  # which may be one and the same
    others = nnx.Not(nnx.Param) if several else nnx.All(nnx.Not(nnx.Param), nnx.Not(nnx.RngState))
    if jax.tree.leaves(nnx.state(model, others)):
        nnx.update(model, jax.jit(lambda: nnx.state(make(), others))())
    return model


def _keeps_tracers(model: nnx.Module) -> bool:
    """Tells whether a module keeps an array that is no variable, such as the mask of a convolution: it has no value."""
    modules = [vars(node) for _, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)]
    functions = [x for attributes in modules for x in attributes.values() if inspect.isfunction(x)]
    closed = [cell.cell_contents for x in functions for cell in x.__closure__ or () if cell != type(cell)()]
    return any(isinstance(x, Tracer) for x in jax.tree.leaves([*modules, closed], is_leaf=_is_tracer))


def _is_tracer(value: Any) -> bool:
    return isinstance(value, Tracer)


def _flax_model(model: Any, variables: Any, inputs: Inputs, whole: bool, trains: bool = True) -> FlaxModel:
    if isinstance(model, nnx.Module):
        return NNXModel(nnx.clone(model), inputs.names, trains)
    if isinstance(model, linen.Module):
        return LinenModel(model, variables or initial_variables(model, inputs, whole), inputs.names, trains)
    if is_wrapper(model):
        return wrapped(model, variables, inputs.names, inputs.arrays, trains)
    raise InputError(
        f"parity.check compares a Flax module, NNX or Linen, with PyTorch's; {type(model).__name__} is none"
    )


def initial_variables(model: linen.Module, inputs: Inputs, whole: bool) -> dict[str, Any]:
    """Returns the variables; parameters, which the check replaces, by their shapes alone unless `whole`.

    Heads that work in training alone have theirs, too.
    """
    evaluation = _in_mode(model, inputs, whole, train=False)
    if not mode(type(model).__call__, True):
        return evaluation
    with suppress(Exception):  # of the user's own module, which may not start in training
        training = _in_mode(model, inputs, whole, train=True)
        return unflatten_dict(flatten_dict(training) | flatten_dict(evaluation))
    return evaluation


def _in_mode(model: linen.Module, inputs: Inputs, whole: bool, train: bool) -> dict[str, Any]:
    flags: dict[str, Any] = mode(type(model).__call__, train)
    args, named = in_names(inputs.names, tuple(map(jnp.asarray, inputs.arrays)))

    def init() -> dict[str, Any]:
        return dict(model.init(jax.random.key(0), *args, **named, **flags))

    if whole:
        return init()
    shapes = jax.eval_shape(init)
    others = shapes.keys() - {"params"}
    values = jax.jit(lambda: {name: tree for name, tree in init().items() if name in others})() if others else {}
    return shapes | values
