"""PyTorch's half: all that a step can change, as it was, put back in any precision.

A step of PyTorch's works in place, on what it is given and on what it reaches besides: a scheduler or an averaged
model in its closure, a counter of its object. All of it is walked, so that the step can be repeated from any state,
and that nothing of it stays.
"""

import functools
import types
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from parity.arrays.torch_arrays import to_numpy

Disturb = Callable[[np.ndarray], np.ndarray]
PLAIN = (bool, int, float, str, type(None))
COUNTED = ("step", "_scale")  # an optimiser's count, a scaler's factor: PyTorch wants them in float32
FOREIGN = ("torch", "numpy", "jax", "flax", "optax", "builtins", "typing", "functools", "collections", "parity")


@dataclass(frozen=True)
class Value:
    """A tensor as it was.

    array: a copy
    exact: stays in its own precision, undisturbed: a counter
    """

    tensor: torch.Tensor
    array: torch.Tensor
    gradient: torch.Tensor | None
    exact: bool


@dataclass(frozen=True)
class Snapshot:
    """Everything at one moment: tensors by identity, and what each container held."""

    values: dict[int, Value]
    contents: list[tuple[Any, Any]]


class Memory:
    """All that a step of PyTorch's can change."""

    def __init__(self, roots: Iterable[Any]):
        self.roots = list(roots)

    def taken(self) -> Snapshot:
        """Returns everything as it is now."""
        values: dict[int, Value] = {}
        contents: list[tuple[Any, Any]] = []
        for holder, items in _walk(self.roots):
            contents.append((holder, items))
            for key, item in items:
                if isinstance(item, torch.Tensor) and id(item) not in values:
                    exact = not item.is_floating_point() or (key in COUNTED and item.ndim == 0)
                    gradient = item.grad.detach().clone() if item.is_leaf and item.grad is not None else None
                    values[id(item)] = Value(item, item.detach().clone(), gradient, exact)
        return Snapshot(values, contents)

    def arrays(self) -> list[np.ndarray]:
        """Returns what stands in tensors, counts and gradients left out."""
        return [to_numpy(value.array) for value in self.taken().values.values() if not value.exact]

    def put(self, snapshot: Snapshot, dtype: str | None = None, disturb: Disturb = np.asarray) -> None:
        """Makes everything as it was; floating-point numbers in `dtype`, moved by `disturb`. None: exactly."""
        for holder, items in snapshot.contents:
            _refill(holder, items)
        target = getattr(torch, dtype) if dtype else None
        for value in snapshot.values.values():
            plain = value.exact or target is None
            value.tensor.data = value.array.clone() if plain else _moved(value.array.to(target), disturb)
            if value.tensor.is_leaf:
                gradient = value.gradient
                value.tensor.grad = None if gradient is None else gradient.to(value.tensor.dtype).clone()


def _moved(tensor: torch.Tensor, disturb: Disturb) -> torch.Tensor:
    if disturb is np.asarray:
        return tensor.clone()
    return torch.as_tensor(disturb(to_numpy(tensor))).to(tensor.device)


def rounded(snapshot: Snapshot, lone: Collection[str] = ()) -> Snapshot:
    """Returns it with values that float32 holds exactly, so that every precision can start from them.

    lone: slots of the optimiser that JAX's state has not, which goes on by itself
    """
    kept = {id(item) for _, items in snapshot.contents for key, item in items if key in lone}
    values = {name: value if name in kept else _rounded(value) for name, value in snapshot.values.items()}
    return Snapshot(values, snapshot.contents)


def _rounded(value: Value) -> Value:
    if value.exact:
        return value
    single = value.array.to(torch.float32)
    single = torch.where(single.abs() < 1e-37, torch.zeros_like(single), single)  # XLA flushes smaller ones to 0
    return Value(value.tensor, single, value.gradient, value.exact)


def reached(roots: Iterable[Any], kind: type) -> list[Any]:
    """Returns the objects of a kind that the roots reach."""
    items = [item for _, items in _walk(roots) for _, item in items]
    return list({id(item): item for item in (*roots, *items) if isinstance(item, kind)}.values())


def names_of(roots: Iterable[Any]) -> dict[int, str]:
    """Returns what the tensors that the roots reach are called there, by identity: an attribute, a variable, a key."""
    named = [(key, item) for _, items in _walk(roots) for key, item in items if isinstance(key, str)]
    return {id(item): key for key, item in named if isinstance(item, torch.Tensor)}


def _walk(roots: Iterable[Any]) -> Iterator[tuple[Any, list[tuple[Any, Any]]]]:
    """Yields each container that the roots reach once, with its items."""
    waiting = list(roots)
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, (*PLAIN, torch.Tensor, type, types.ModuleType)):
            continue
        seen.add(id(node))
        for holder, items in _contents(node):
            yield holder, items
            waiting.extend(item for _, item in items)


def _contents(node: Any) -> Iterator[tuple[Any, list[tuple[Any, Any]]]]:
    if isinstance(node, dict):
        yield node, list(node.items())
    elif isinstance(node, list):
        yield node, list(enumerate(node))
    elif isinstance(node, set):
        yield node, [(None, item) for item in node]
    elif isinstance(node, tuple | frozenset):
        yield None, list(enumerate(node))
    elif isinstance(node, functools.partial):
        yield None, [(0, node.func), (1, node.args), (2, node.keywords)]
    elif isinstance(node, types.MethodType):
        yield None, [(0, node.__self__), (1, node.__func__)]
    elif isinstance(node, types.FunctionType):
        yield from _of_function(node)
    elif _has_state(node):
        yield from [(vars(node), list(vars(node).items()))]


def _of_function(function: types.FunctionType) -> Iterator[tuple[Any, list[tuple[Any, Any]]]]:
    if str(function.__module__).partition(".")[0] in FOREIGN:
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            yield cell, [(name, cell.cell_contents)]
        except ValueError:  # not bound yet
            continue
    names = set(_names(function.__code__))
    used = [(name, value) for name, value in function.__globals__.items() if name in names]
    yield (
        _Part(function.__globals__),
        [(name, value) for name, value in used if not isinstance(value, types.ModuleType | type)],
    )


class _Part:
    """Some of a dict's items."""

    def __init__(self, whole: dict):
        self.whole = whole


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _has_state(node: Any) -> bool:
    if not hasattr(node, "__dict__"):
        return False
    known = isinstance(node, torch.nn.Module) or hasattr(node, "state_dict")
    return known or type(node).__module__.partition(".")[0] not in FOREIGN


def _refill(holder: Any, items: list[tuple[Any, Any]]) -> None:
    if isinstance(holder, _Part):
        holder.whole.update((name, value) for name, value in items if isinstance(value, PLAIN))
    elif isinstance(holder, types.CellType):
        holder.cell_contents = items[0][1]
    elif isinstance(holder, dict):
        holder.clear()
        for key, value in items:  # `update` of a Counter, as MultiStepLR's milestones are, would count the pairs
            holder[key] = value
    elif isinstance(holder, list):
        holder[:] = [item for _, item in items]
    elif isinstance(holder, set):
        holder.clear()
        holder.update(item for _, item in items)
