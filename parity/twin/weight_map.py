"""Which tensor is which, of a user's own pair: as it is told, by names, or else by structure and values."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from flax import nnx

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf, flatten
from d2l_jax.weights.rules import leaves
from parity.match import map_of, told_map
from parity.match.leftovers import Unmatched
from parity.match.mapping import Map
from parity.models.complex_parts import InParts
from parity.models.cut import Cut
from parity.models.cutting import cuts_of
from parity.models.flax_model import FlaxModel
from parity.models.torch_buffers import as_buffers, frozen_tables, resting_buffers
from parity.models.woven import Woven, weaves_of
from parity.twin.inputs import Inputs
from parity.twin.structure import check_structure


def weight_map(flax: FlaxModel, model: Any, torch_model: torch.nn.Module, inputs: Inputs, weights: Any) -> Map:
    """Returns the map, with Flax's model cut where it keeps several tensors of PyTorch's in one array.

    weights: what the user says of it: a map, or its path
    """
    resting = resting_buffers(torch_model, inputs.tensors())
    if weights is not None:
        told = told_map(weights)
        cuts = cuts_of(leaf.path for leaf in told)
        flax = Cut(flax, cuts) if cuts else flax
        weaves = weaves_of(told)
        flax = Woven(flax, weaves) if weaves else flax
        _check_complete(told, flax, torch_model, resting)
        return Map(flax, told, True, ())
    named = leaves(model) if isinstance(model, nnx.Module) and not isinstance(flax, InParts) else []
    held = {leaf.key for leaf in named if leaf.path in flax.constants()}
    by_name = None
    try:
        if named:
            check_structure(flax.name, model, torch_model, resting | held)  # type: ignore[arg-type]
            return Map(flax, _in_both(named, held, torch_model.state_dict(), resting), True, ())
    except InputError as error:  # other names, or other tensors: the structure will tell
        by_name = error
    try:
        return _found(flax, torch_model, inputs, resting)
    except InputError as error:
        if 2 * len({leaf.key for leaf in named} & torch_model.state_dict().keys()) > len(named):
            # Most of the names are the same: those that are not, are the news.
            error.args = ("; ".join([str(by_name or flax.name), *getattr(error, "notes", ())]),)
        raise


def _check_complete(told: Sequence[Leaf], flax: FlaxModel, torch_model: torch.nn.Module, resting: set[str]) -> None:
    """Raises InputError where a map that was given names what is not there, or leaves out what a step changes."""
    keys, paths = {key for leaf in told for key in leaf.keys}, {leaf.path for leaf in told}
    held = {path for tree in (flax.params, flax.buffers) for path, _ in flatten(tree)}
    strange = [*(keys - torch_model.state_dict().keys()), *(".".join(map(str, path)) for path in paths - held)]
    lacking = [min(names) for names in _changing(torch_model, resting) if not names & keys]
    ours = {path for path, _ in flatten(flax.params)} - paths - flax.constants()
    lacking += [".".join(map(str, path)) for path in ours]
    problems = [f"it names {', '.join(sorted(strange))}, which neither holds"] * bool(strange)
    problems += [f"it leaves out {', '.join(sorted(lacking))}, which a step changes"] * bool(lacking)
    if problems:
        raise InputError(f"weights is no map of these two models: {'; '.join(problems)}")


def _changing(torch_model: torch.nn.Module, resting: set[str]) -> Iterator[set[str]]:
    """Yields the names of each tensor that a step changes, counters aside: what is trained, running statistics."""
    tensors: dict[int, set[str]] = {}
    for key, tensor in torch_model.state_dict(keep_vars=True).items():
        trained = isinstance(tensor, torch.nn.Parameter)
        if tensor.requires_grad if trained else tensor.is_floating_point() and key not in resting:
            tensors.setdefault(id(tensor), set()).add(key)
    yield from tensors.values()


def _found(flax: FlaxModel, torch_model: torch.nn.Module, inputs: Inputs, resting: set[str]) -> Map:
    """Returns the map; parameters that PyTorch's model has frozen may be left out, where there is none with them."""
    pair = flax, torch_model, inputs.arrays, inputs.tensors()
    try:
        return map_of(*pair, resting)
    except Unmatched as error:
        if not (frozen := frozen_tables(torch_model)):
            raise
        held = as_buffers(torch_model, _in_torch_alone(frozen, flax, torch_model))  # whose numbers stay as they are
        try:
            return map_of(flax, held, inputs.arrays, inputs.tensors(), resting | frozen)
        except InputError:  # then it is not these alone
            raise error from None


def _in_torch_alone(names: Collection[str], flax: FlaxModel, torch_model: torch.nn.Module) -> set[str]:
    """Returns those of which Flax has no array of as many numbers, such as the masks of couplings."""
    sizes = {np.size(array) for tree in (flax.params, flax.buffers) for _, array in flatten(tree)}
    return {name for name in names if torch_model.get_parameter(name).numel() not in sizes}


def _in_both(named: Sequence[Leaf], held: Collection[str], theirs: Mapping[str, Any], resting: set[str]) -> list[Leaf]:
    """Returns the leaves that both models hold; of a constant that stands elsewhere in PyTorch's, under its key there.

    held: keys of the constants of Flax's
    """
    own = {leaf.key for leaf in named}
    leaves = []
    for leaf in named:
        last = leaf.key.rpartition(".")[2]
        there = [key for key in resting - own if key.rpartition(".")[2] == last and theirs[key].shape == leaf.shape]
        if leaf.key in theirs:
            leaves.append(leaf)
        elif leaf.key in held and len(there) == 1:
            leaves.append(replace(leaf, key=there[0]))
    return leaves
