"""The map between the tensors of a JAX state and those of PyTorch's model, and of averaged copies of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as File
from typing import Any

import numpy as np
import torch
from flax import nnx

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf, unflatten
from d2l_jax.weights.rules import leaves
from parity.match import load_map, match
from parity.match.fitting import alike, counter
from parity.models.linen_model import LinenModel
from parity.models.nnx_model import NNXModel
from parity.training_step.jax_state import JaxState, Leaves, Path, dotted
from parity.training_step.roles import Roles, shapes

Weights = str | File | Sequence[Leaf] | Mapping[str, Any] | None
Inputs = tuple[tuple[np.ndarray, ...], tuple[torch.Tensor, ...]] | None


@dataclass(frozen=True)
class Copy:
    """An averaged copy of a model on both sides.

    name:   PyTorch's, as in `torch_state`
    leaves: with their places in the state
    """

    name: str
    leaves: list[Leaf]


def known_map(
    state: JaxState, roles: Roles, model: torch.nn.Module, inputs: Inputs, weights: Weights
) -> list[Leaf] | None:
    """Returns the leaves with their places in the whole state: the user's, or as `parity.check` finds them.

    inputs: what the first call of PyTorch's model was given, in either layout, where that is known

    None where the state holds no module, so that names and shapes alone can tell.
    """
    if isinstance(weights, str | File):
        return load_map(File(weights))
    if isinstance(weights, Mapping):
        return None
    return list(weights) if weights is not None else _of_module(state, roles, model, inputs)


def _of_module(state: JaxState, roles: Roles, model: torch.nn.Module, inputs: Inputs) -> list[Leaf] | None:
    """Returns the map that `parity.check` would find, where the state holds a module."""
    if isinstance(roles.model, nnx.Module):
        named = leaves(roles.model)
        theirs = {key: tuple(value.shape) for key, value in model.state_dict().items() if not _counts(value)}
        if {leaf.key: leaf.shape for leaf in named if leaf.stored or leaf.key in theirs} == theirs:
            return _placed(named, state, roles)
        flax: Any = NNXModel(nnx.clone(roles.model))
    elif roles.model is not None:
        flax = LinenModel(roles.model, _variables(state, roles))
    else:
        return None
    try:
        return _placed(match(flax, model, *inputs), state, roles) if inputs else None
    except InputError:
        return None


def _counts(value: torch.Tensor) -> bool:
    return counter(value.detach().cpu().numpy())


def _variables(state: JaxState, roles: Roles) -> dict[str, Any]:
    collections: dict[str, dict[Path, Any]] = {}
    for path in roles.buffers:
        name = next((name for name in path if str(name) in ("batch_stats", "stats")), None)
        if name is not None:
            collections.setdefault(str(name), {})[path[path.index(name) + 1 :]] = state.leaves[path]
    params = {path[len(roles.root) :]: state.leaves[path] for path in roles.params}
    return {"params": unflatten(params)} | {name: unflatten(flat) for name, flat in collections.items()}


def _placed(tensors: list[Leaf], state: JaxState, roles: Roles) -> list[Leaf]:
    """Returns the leaves with the places that their paths have in the state; those that it has not are left out."""
    absolute = []
    for leaf in tensors:
        place = (*roles.root, *leaf.path)
        if place not in state.leaves:
            ends = [path for path in roles.buffers if path[-len(leaf.path) :] == leaf.path]
            ends = ends or [path for path in roles.buffers if path[1 - len(leaf.path) :] == leaf.path[1:]]
            place = next(iter(ends), ())
        if place in state.leaves:
            absolute.append(replace(leaf, path=place))
    return absolute


def check_whole(state: JaxState, roles: Roles, model: torch.nn.Module, tensors: list[Leaf]) -> None:
    """Raises InputError, which lists them all, where parameters of either side have no counterpart."""
    known = {key for leaf in tensors for key in (leaf.key, *leaf.merged)}
    tied = {id(value) for key, value in model.named_parameters(remove_duplicate=False) if key in known}
    theirs = {key: value for key, value in model.state_dict(keep_vars=True).items() if not _counts(value)}
    problems = [
        f"only in PyTorch: {key} {tuple(value.shape)}"
        for key, value in theirs.items()
        if key not in known and id(value) not in tied
    ]
    mapped = {leaf.path for leaf in tensors}
    problems += [f"only in JAX: {each}" for each in shapes(state, [p for p in roles.params if p not in mapped])]
    if unknown := [f"{leaf.key} at {dotted(leaf.path)}" for leaf in tensors if leaf.path not in state.leaves]:
        problems += [f"not in jax_state: {each}" for each in unknown]
    if unknown := [key for key in known if key not in model.state_dict()]:
        problems += [f"not in PyTorch's model: {key}" for key in unknown]
    if problems:
        raise InputError(
            f"jax_state and torch_model do not hold the same tensors: {'; '.join(problems)};"
            ' weights={"PyTorch\'s key": "path.in.the.state"} says which is which'
        )


def copies_of(roles: Roles, tensors: list[Leaf], others: Mapping[str, Callable[[], Mapping[str, Any]]]) -> list[Copy]:
    """Returns the averaged copies that both sides have.

    others: what PyTorch has besides its model: {name: -> its tensors by the model's names}

    Raises InputError where PyTorch has one that JAX's state has not.
    """
    free = {name: tensors_of() for name, tensors_of in others.items()}
    free = {name: keys for name, keys in free.items() if any(leaf.key in keys for leaf in tensors)}
    copies = []
    for root, paths in roles.copies.items():
        moved = _moved(roles, tensors, root, paths)
        fitting = [name for name, keys in free.items() if any(leaf.key in keys for leaf in moved)]
        if fitting:
            name = max(fitting, key=lambda each: alike(each, root[-1] if root else ""))
            keys = free.pop(name)
            copies.append(Copy(name, [leaf for leaf in moved if leaf.key in keys]))
    if free:
        raise InputError(
            f"torch_state[{next(iter(free))!r}] holds an averaged copy of the model; jax_state has none whose paths and"
            " shapes are those of its parameters"
        )
    return copies


def unpaired(roles: Roles, copies: list[Copy]) -> dict[str, str]:
    """Returns the averaged copies of JAX's state that nothing of PyTorch's was compared with."""
    compared = {leaf.path for copy in copies for leaf in copy.leaves}
    alone = [root for root, paths in roles.copies.items() if not compared & set(paths)]
    return {dotted(root): 'an averaged copy; torch_state={"ema": PyTorch\'s} has it compared' for root in alone}


def beginning(roles: Roles, tensors: list[Leaf], copies: list[Copy], state: Leaves) -> list[Leaf]:
    """Returns the places of copies that are compared with nothing and equal JAX's parameters, as slow weights do.

    Parameters that are all zeros tell nothing: sums of gradients begin so, too.
    """
    compared = {leaf.path for copy in copies for leaf in copy.leaves}
    found: list[Leaf] = []
    for root, paths in roles.copies.items():
        moved = [] if compared & set(paths) else _moved(roles, tensors, root, paths)
        sources = {leaf.key: np.asarray(state[leaf.path]) for leaf in tensors}
        same = all(np.array_equal(np.asarray(state[leaf.path]), sources[leaf.key]) for leaf in moved)
        found += moved if same and any(sources[leaf.key].any() for leaf in moved if leaf.trained) else []
    return found


def _moved(roles: Roles, tensors: list[Leaf], root: Path, paths: list[Path]) -> list[Leaf]:
    """Returns the leaves with their places in the copy."""
    moved = []
    home = roles.part_of.get(root, roles.root)
    for leaf in tensors:
        inside = leaf.path[: len(home)] == home
        place = (*root, *leaf.path[len(home) :]) if inside else ()
        if place not in paths and root not in roles.part_of:
            ends = [p for p in paths if not inside and p[-2:] == leaf.path[-2:] and len(p) >= len(leaf.path)]
            place = next(iter(ends), ())
        if place in paths:
            moved.append(replace(leaf, path=place))
    return moved
