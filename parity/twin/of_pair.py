"""The twin of a user's own pair: two models that were never written to match."""

import copy
import inspect
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen, nnx

from d2l_jax.errors import InputError
from parity.arrays.layout import copied, of_inputs
from parity.match import load_map, match
from parity.models.flax_model import FlaxModel, mode
from parity.models.linen_model import LinenModel
from parity.models.nnx_model import NNXModel
from parity.models.torch_buffers import resting_buffers
from parity.models.torch_precision import has_attributes, with_attributes
from parity.twin.half_precision import check_not_half
from parity.twin.learning import Learning
from parity.twin.pairing import make_twin
from parity.twin.structure import abstract, check_structure
from parity.twin.twin import STEPS, Twin
from parity.weights.leaf import Leaf, export
from parity.weights.rules import leaves


def twin_of_pair(
    model: nnx.Module | linen.Module | Callable[[], nnx.Module],
    torch_model: torch.nn.Module,
    inputs: tuple[np.ndarray, ...],
    variables: Any = None,
    learning: Learning | None = None,
    weights: str | Path | Sequence[Leaf] | None = None,
    labels: bool = False,
    steps: int = STEPS,
    as_they_are: bool = False,
) -> Twin:
    """Returns the twin of a user's own pair; the arguments are those of `parity.check`."""
    if steps < 1:
        raise InputError(f"steps={steps} is too few; 1 or more is right")
    for x in inputs:
        if not x.size:
            raise InputError(f"inputs of shape {x.shape} are empty: there would be nothing to compare")
        if np.issubdtype(x.dtype, np.floating) and not np.all(np.isfinite(x)):
            raise InputError("inputs have values that are not finite")
    whole = as_they_are or weights is not None
    if inspect.isroutine(model) or isinstance(model, type | partial):
        model = _module_of(model, whole=whole)
    torch_model = getattr(torch_model, "_orig_mod", torch_model)  # of torch.compile, which computes the same
    torch_model = with_attributes(copy.deepcopy(torch_model)) if has_attributes(torch_model) else torch_model
    flax = _flax_model(model, variables, inputs, whole=whole)
    check_not_half(flax, torch_model)
    tensors = _weight_map(flax, model, torch_model, inputs, weights)
    random = np.random.default_rng(0)
    batches = [tuple(map(_float32, inputs))]
    batches += [tuple(_like(x, random) for x in inputs) for _ in range(steps - 1)]
    named = [{"input": batch[0] if len(batch) == 1 else batch} for batch in batches]
    ours, theirs = (learning or Learning()).sides(flax, torch_model)
    held = _held(tensors, flax) if as_they_are else None
    return make_twin(flax.name, ours, theirs, tensors, named, labels, random, held)


def _held(tensors: list[Leaf], flax: FlaxModel) -> dict[str, np.ndarray]:
    """Returns the values that Flax's model holds, under PyTorch's names and in its layout."""
    params = export([leaf for leaf in tensors if leaf.trained], flax.params)
    return params | export([leaf for leaf in tensors if not leaf.trained], flax.buffers)


def _float32(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if np.issubdtype(x.dtype, np.floating) else x


def _like(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draws another batch of the same kind: the rows in another order, numbers disturbed by a tenth."""
    x = x[random.permutation(len(x))] if x.ndim else x
    if not np.issubdtype(x.dtype, np.floating):
        return x
    return (x + 0.1 * np.std(x) * random.normal(size=x.shape)).astype(np.float32)


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
        model = abstract(make)
    except Exception:  # it computes with values, has random numbers from outside, or makes no NNX module
        return make()
    if not isinstance(model, nnx.Module):
        return make()
    others = nnx.All(nnx.Not(nnx.Param), nnx.Not(nnx.RngState))
    if jax.tree.leaves(nnx.state(model, others)):
        nnx.update(model, jax.jit(lambda: nnx.state(make(), others))())
    return model


def _flax_model(model: Any, variables: Any, inputs: tuple, whole: bool) -> FlaxModel:
    if isinstance(model, nnx.Module):
        return NNXModel(nnx.clone(model))
    if isinstance(model, linen.Module):
        return LinenModel(model, variables or _initial(model, inputs, whole))
    raise InputError(
        f"parity.check compares a Flax module, NNX or Linen, with PyTorch's; {type(model).__name__} is none"
    )


def _initial(model: linen.Module, inputs: tuple, whole: bool) -> dict[str, Any]:
    """Returns the variables; parameters, which the check replaces, by their shapes alone unless `whole`."""
    flags: dict[str, Any] = mode(type(model).__call__, False)
    arrays = tuple(map(jnp.asarray, inputs))

    def init() -> dict[str, Any]:
        return dict(model.init(jax.random.key(0), *arrays, **flags))

    if whole:
        return init()
    shapes = jax.eval_shape(init)
    others = shapes.keys() - {"params"}
    values = jax.jit(lambda: {name: tree for name, tree in init().items() if name in others})() if others else {}
    return shapes | values


def _weight_map(flax: FlaxModel, model: Any, torch_model: torch.nn.Module, inputs: tuple, weights: Any) -> list[Leaf]:
    if isinstance(weights, str | Path):
        return load_map(Path(weights))
    if weights is not None:
        return list(weights)
    named = leaves(model) if isinstance(model, nnx.Module) else []
    torch_inputs = tuple(torch.as_tensor(copied(x, of_inputs(x.ndim))) for x in inputs)
    resting = resting_buffers(torch_model, torch_inputs)
    held = {leaf.key for leaf in named if leaf.path in flax.constants()}
    by_name = None
    try:
        if named:
            check_structure(flax.name, model, torch_model, resting | held)  # type: ignore[arg-type]
            shared = torch_model.state_dict().keys()
            return [leaf for leaf in named if leaf.key in shared]
    except InputError as error:  # other names, or other tensors: the structure will tell
        by_name = error
    try:
        return match(flax, torch_model, inputs, torch_inputs, resting)
    except InputError:
        if 2 * len({leaf.key for leaf in named} & torch_model.state_dict().keys()) > len(named):
            # Most of the names are the same: those that are not, are the news.
            raise by_name or InputError(flax.name) from None
        raise
