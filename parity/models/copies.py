"""Copies of PyTorch models whose functions close over their modules, as minGPT's feed-forward `lambda x: ...`."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:  # Flax's side can be recorded where PyTorch is missing
    import torch

T = TypeVar("T")
REGISTERED = "_modules", "_parameters", "_buffers"


class Held(NamedTuple):
    """What a model holds, by `id`: functions, tensors that are no leaves of autograd's graph, and all that was seen."""

    functions: dict[int, FunctionType]
    computed: dict[int, torch.Tensor]
    seen: dict[int, Any]


def copy_of(model: T, kept: Sequence[Any] = ()) -> T:
    """Returns a deep copy in which functions see the copy; `copy.deepcopy` leaves them with the original's modules.

    model: a module, or a tuple or dict of what belongs together
    kept:  what both share
    Tensors that a run has left in it, as old weight normalisation and hooks do, are NaN until the next run.
    """
    held = Held({}, {}, {})
    _note(model, held)
    functions = held.functions
    cells = {id(cell): cell for function in functions.values() for cell in _filled(function)}
    new_cells = {key: CellType() for key in cells}
    clones = {key: _clone(function, new_cells) for key, function in functions.items()}
    memo = _emptied(held) | {id(x): x for x in kept} | clones
    result = copy.deepcopy(model, memo)
    for key, cell in cells.items():
        new_cells[key].cell_contents = _of_copy(cell.cell_contents, memo)
    for key, function in functions.items():
        clones[key].__defaults__ = _of_copy(function.__defaults__, memo)
        clones[key].__kwdefaults__ = _of_copy(function.__kwdefaults__, memo)
    return result


def _note(model: Any, held: Held) -> None:
    """Adds the functions that modules hold as attributes or hooks, in objects too, and those they close over."""
    import torch

    for value in _reached([model], held.seen):
        if isinstance(value, FunctionType):
            held.functions[id(value)] = value
        elif isinstance(value, torch.Tensor) and not value.is_leaf:
            held.computed[id(value)] = value


def _reached(values: list[Any], seen: dict[int, Any]) -> Iterator[Any]:
    """Yields the values and all that they hold, each once; functions do not hold the modules that they close over."""
    left = [*values]
    while left:
        value = left.pop()
        if id(value) not in seen:
            seen[id(value)] = value
            yield value
            left.extend(_within(value))


def _within(value: Any) -> list[Any]:
    """Returns what a value holds, as `copy.deepcopy` goes through it."""
    import torch

    if isinstance(value, torch.nn.Module):
        own = [attribute for name, attribute in vars(value).items() if name not in REGISTERED]
        return [*own, *value.children()]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in _filled(value)]
        return [each for each in cells if not isinstance(each, torch.nn.Module)]
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, dict):
        return [*value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return [*value]
    return _attributes(value)


def _attributes(value: Any) -> list[Any]:
    """Returns those of an object of a user's, as a namespace or a record; of what is no model's own, none."""
    import torch

    plain = isinstance(value, type | ModuleType | torch.Tensor) or not hasattr(value, "__dict__")
    return [] if plain else [*vars(value).values()]


def _emptied(held: Held) -> dict[int, torch.Tensor]:
    """Returns what stands for tensors that a run has left: the next one writes them anew before it reads them.

    One that is a view of a parameter was made with the model, and is none of them: PyTorch refuses to copy it.
    """
    import torch

    parameters = {
        p.untyped_storage().data_ptr()
        for x in held.seen.values()
        if isinstance(x, torch.nn.Module)
        for p in x.parameters(recurse=False)
    }
    left = {key: x for key, x in held.computed.items() if x.untyped_storage().data_ptr() not in parameters}
    return {key: torch.full_like(x, torch.nan, requires_grad=False) for key, x in left.items()}


def _filled(function: FunctionType) -> Iterator[CellType]:
    """Yields what a function closes over, but what has no value yet."""
    for cell in function.__closure__ or ():
        with suppress(ValueError):
            _ = cell.cell_contents
            yield cell


def _clone(function: FunctionType, cells: dict[int, CellType]) -> FunctionType:
    closure = function.__closure__ and tuple(cells.get(id(cell), cell) for cell in function.__closure__)
    clone = FunctionType(function.__code__, function.__globals__, function.__name__, None, closure)
    clone.__dict__.update(function.__dict__)
    return clone


def _of_copy(value: Any, memo: dict[int, Any]) -> Any:
    """Returns what stands for a value in the copy: itself, where it is and holds no part of the model's.

    What cannot be copied, as an object with an open file beside the model, stays itself, too.
    """
    with suppress(TypeError):
        return copy.deepcopy(value, memo) if _holds_part(value, memo) else value
    return value


def _holds_part(value: Any, memo: dict[int, Any]) -> bool:
    """Tells whether it is in the copy or holds what is, out of modules and functions that are none of the model's."""
    import torch

    left, seen = [value], dict[int, Any]()
    while left:
        each = left.pop()
        if id(each) in memo:
            return True
        if id(each) not in seen and not isinstance(each, torch.nn.Module | FunctionType):
            seen[id(each)] = each
            left.extend(_within(each))
    return False
