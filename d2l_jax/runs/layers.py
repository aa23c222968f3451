"""The layers of a case in the model's order, with the shapes that they put out. No weight is allocated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from math import prod
from typing import Any

import jax
import numpy as np
from flax import nnx

from d2l_jax import nn
from d2l_jax.case import Case
from d2l_jax.turns import Tensors, arguments

Shape = tuple[int, ...]
Outputs = dict[int, list[Any]]  # of each layer, by its identity: the shapes that each of its calls puts out


@dataclass
class Layer:
    """A module of a model, or a function in a chain of modules.

    name:       the path by which the model reaches it, which is PyTorch's; "" of the whole model
    kind:       name of its class or function
    outputs:    the shapes that its first call puts out; none where it is not called
    calls:      how often it is called
    tensors:    {name: shape} of the parameters and buffers that it holds itself, without random keys
    parameters: how many numbers the parameters among these have
    same_as:    name of the place where the same module stood before
    """

    name: str
    kind: str
    outputs: tuple[Shape, ...] = ()
    calls: int = 0
    tensors: dict[str, Shape] = field(default_factory=dict)
    parameters: int = 0
    same_as: str = ""


def layers_of(case: Case) -> list[Layer]:
    """Returns the layers of one call in evaluation mode, of the book's sizes and batch; none without a model."""
    listed: list[Layer] = []

    def trace(tensors: Tensors) -> None:
        model = case.build()  # a view of it would have its attributes in another order
        model.set_attributes(deterministic=True, use_running_average=True, raise_if_not_found=False)
        with recorded(model) as outputs:
            if "input" in tensors:
                model(*arguments(tensors["input"]))
            elif case.observe:
                case.observe(model, tensors)
        listed.extend(_walk(model, "", outputs, {}))

    drawn = {"input": case.abstract_inputs()} if case.inputs or not case.draw else case.draw(np.random.default_rng(0))
    jax.eval_shape(trace, drawn)
    return listed if case.model is not None else []


@contextmanager
def recorded(model: nnx.Module) -> Iterator[Outputs]:
    """Yields the shapes that every layer of `model` puts out within the block."""
    outputs: Outputs = {}
    modules = [node for _, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)]
    ids = {id(module) for module in modules}
    stock: dict[type, Callable] = {type(module): type(module).__call__ for module in modules if callable(module)}
    defined = {kind for kind in stock if "__call__" in vars(kind)}

    def recording(call: Callable) -> Callable:
        @wraps(call)
        def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = call(self, *args, **kwargs)
            if id(self) in ids:
                outputs.setdefault(id(self), []).append(_shapes(result))
            return result

        return __call__

    for chain in (module for module in modules if isinstance(module, nn.Sequential)):
        for name in chain.names:
            if not isinstance(getattr(chain, name), nnx.Module):
                setattr(chain, name, _Function(getattr(chain, name), outputs))
    for kind, call in stock.items():
        kind.__call__ = recording(call)  # type: ignore[attr-defined]
    try:
        yield outputs
    finally:
        for kind, call in stock.items():
            if kind in defined:
                kind.__call__ = call  # type: ignore[attr-defined]
            else:
                del kind.__call__  # type: ignore[attr-defined]


class _Function:
    """A function in a chain, which records what it puts out."""

    def __init__(self, function: Callable, outputs: Outputs):
        self.function = function
        self.outputs = outputs
        self.name = getattr(function, "__name__", type(function).__name__)

    def __call__(self, x: Any) -> Any:
        result = self.function(x)
        self.outputs.setdefault(id(self), []).append(_shapes(result))
        return result


def _shapes(tree: Any) -> tuple[Shape, ...]:
    return tuple(leaf.shape for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape"))


def _walk(module: Any, name: str, outputs: Outputs, seen: dict[int, str]) -> Iterator[Layer]:
    calls = outputs.get(id(module), [])
    kind = module.name if isinstance(module, _Function) else type(module).__name__
    layer = Layer(name, kind, calls[0] if calls else (), len(calls))
    yield layer
    if id(module) in seen:
        layer.same_as = seen[id(module)]
        return
    seen[id(module)] = name
    for attribute, value in _children(module):
        path = f"{name}.{attribute}" if name else attribute
        if isinstance(value, nnx.Variable):
            if id(value) not in seen and not isinstance(value, nnx.RngState | nnx.Intermediate):
                seen[id(value)] = path
                layer.tensors[attribute] = value.shape
                layer.parameters += prod(value.shape) if isinstance(value, nnx.Param) else 0
        else:
            yield from _walk(value, path, outputs, seen)


def _children(module: Any) -> Iterator[tuple[str, Any]]:
    """Yields the variables, modules and functions of a chain, in the order in which they were assigned."""
    pairs = enumerate(module) if isinstance(module, nnx.List) else vars(module).items()
    for name, value in pairs if isinstance(module, nnx.Module) else ():
        known = isinstance(value, nnx.Variable | nnx.Module | _Function)
        if known and not isinstance(value, nnx.Rngs | nnx.RngStream):
            yield str(name), value
