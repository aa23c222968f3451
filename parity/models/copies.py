"""Copies of PyTorch models whose functions close over their modules, as minGPT's feed-forward `lambda x: ...`."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any, TypeVar

import torch

T = TypeVar("T")
REGISTERED = "_modules", "_parameters", "_buffers"


def copy_of(model: T, kept: Sequence[Any] = ()) -> T:
    """Returns a deep copy in which functions see the copy; `copy.deepcopy` leaves them with the original's modules.

    model: a module, or a tuple or dict of what belongs together
    kept:  what both share
    Tensors that a run has left in it, as old weight normalisation and hooks do, are detached.
    """
    functions: dict[int, FunctionType] = {}
    computed: dict[int, torch.Tensor] = {}
    _note(model, functions, computed)
    cells = {id(cell): cell for function in functions.values() for cell in _filled(function)}
    new_cells = {key: CellType() for key in cells}
    clones = {key: _clone(function, new_cells) for key, function in functions.items()}
    memo = computed | {id(x): x for x in kept} | clones
    result = copy.deepcopy(model, memo)
    for key, cell in cells.items():
        new_cells[key].cell_contents = _of_copy(cell.cell_contents, memo)
    for key, function in functions.items():
        clones[key].__defaults__ = _of_copy(function.__defaults__, memo)
        clones[key].__kwdefaults__ = _of_copy(function.__kwdefaults__, memo)
    return result


def _note(value: Any, functions: dict[int, FunctionType], computed: dict[int, torch.Tensor]) -> None:
    """Adds the functions that modules hold as attributes or hooks, in containers too, and those they close over.

    computed: receives copies of the tensors that a run has left, which `copy.deepcopy` refuses
    """
    if isinstance(value, torch.nn.Module):
        for module in value.modules():
            _note([held for name, held in vars(module).items() if name not in REGISTERED], functions, computed)
    elif isinstance(value, FunctionType) and id(value) not in functions:
        functions[id(value)] = value
        for cell in _filled(value):
            if not isinstance(cell.cell_contents, torch.nn.Module):
                _note(cell.cell_contents, functions, computed)
    elif isinstance(value, torch.Tensor) and not value.is_leaf:
        computed[id(value)] = value.detach().clone()
    elif isinstance(value, partial):
        _note([value.func, *value.args, value.keywords], functions, computed)
    elif isinstance(value, list | tuple | dict):
        for held in value.values() if isinstance(value, dict) else value:
            _note(held, functions, computed)


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
    """Returns what stands for a value in the copy: itself, where it is and holds no part of the model's."""
    return copy.deepcopy(value, memo) if _reaches(value, memo) else value


def _reaches(value: Any, memo: dict[int, Any]) -> bool:
    if id(value) in memo:
        return True
    if isinstance(value, MethodType):
        return id(value.__self__) in memo
    if isinstance(value, partial):
        value = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, dict):
        value = [*value.values()]
    return isinstance(value, list | tuple) and any(_reaches(held, memo) for held in value)
