"""Every call of every submodule, in either framework, without changing a model: where the check looks inside.

`around(path, module, call, args, kwargs)` stands in for a call of a Flax submodule and returns its output;
`call(*args, **kwargs)` is the call itself. Calls within a scan, a map or a jit of the model's own are not seen, but
for scans over stacked layers: what flows there belongs to another trace. Rematerialised functions are plain ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from flax import linen, nnx
from jax.extend.core import get_opaque_trace_state

from parity.arrays.layout import named_leaves
from parity.models.packed import first_packed, packed_results, padded, sources
from parity.models.seen_within import Path, origin, plain_remat

if TYPE_CHECKING:  # Flax's side can be recorded where PyTorch is missing
    import torch

Around = Callable[[Path, Any, Callable, tuple, dict], Any]


@dataclass
class TorchCall:
    """A call of a submodule of PyTorch's.

    name, number: its dotted name (its first one, where it is shared), and which of its calls this is, from 0
    args, kwargs, output: copies, since a model may change them in place later
    flowing:      of the copies of its arguments, those through which a gradient flows on
    parent:       the call that it happened in, or None
    cotangents:   of the output's tensors, once there has been a backward pass
    span:         how many random numbers had been drawn at its start and at its end
    modes:        whether it and each module within were in training, as the model's own code may have set them
    """

    name: str
    number: int
    module: torch.nn.Module
    args: tuple
    kwargs: dict[str, Any]
    parent: TorchCall | None
    flowing: list[torch.Tensor] = field(default_factory=list)
    output: Any = None
    children: list[TorchCall] = field(default_factory=list)
    cotangents: dict[str, torch.Tensor] = field(default_factory=dict)
    span: tuple[int, int] = (0, 0)
    modes: tuple[bool, ...] = ()


@contextmanager
def torch_calls(model: torch.nn.Module, drawn: Callable[[], int] = lambda: 0) -> Iterator[list[TorchCall]]:
    """Lists every call of `model` and its submodules within the block, in the order of their starts.

    drawn: how many random numbers have been drawn so far
    """
    calls: list[TorchCall] = []
    stack: list[TorchCall] = []
    counts: dict[str, int] = {}

    def enter(name: str, module: torch.nn.Module, args: tuple, kwargs: dict) -> None:
        parent = stack[-1] if stack else None
        given = padded((args, kwargs))
        copies = _copied(given)
        call = TorchCall(name, counts.get(name, 0), module, copies[0], copies[1], parent, _flowing(given, copies))
        call.span = (drawn(), 0)
        call.modes = tuple(part.training for part in module.modules())
        counts[name] = call.number + 1
        if parent:
            parent.children.append(call)
        stack.append(call)
        calls.append(call)

    def leave(module: torch.nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        call = stack.pop()
        sequence = first_packed((call.args, call.kwargs))
        call.output = _copied(padded(output, sequence))
        call.span = (call.span[0], drawn())
        _hear_cotangents(call, output, sequence)

    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(partial(enter, name), with_kwargs=True))
        handles.append(module.register_forward_hook(leave, with_kwargs=True))
    try:
        with sources():
            yield calls
    finally:
        for handle in handles:
            handle.remove()


def _hear_cotangents(call: TorchCall, output: Any, sequence: Any) -> None:
    """Has the call's results tell it their cotangents in a backward pass."""
    import torch

    def hear(where: str, cotangent: torch.Tensor | None) -> None:
        if cotangent is not None:  # None: nothing used this result, as a final state of cuDNN's
            call.cotangents[where] = cotangent

    packed = list(packed_results(output, "output", sequence))
    for where, data, spread in packed:
        if data.requires_grad:
            data.register_hook(lambda x, where=where, spread=spread: hear(where, spread(x)))
    for where, tensor in named_leaves(output, "output"):
        if isinstance(tensor, torch.Tensor) and tensor.requires_grad and all(tensor is not x for _, x, _ in packed):
            tensor.register_hook(partial(hear, where))


def _copied(tree: Any) -> Any:
    import torch
    from torch.utils._pytree import tree_map

    return tree_map(lambda x: x.detach().clone() if isinstance(x, torch.Tensor) else x, padded(tree))


def _flowing(given: Any, copies: Any) -> list[torch.Tensor]:
    import torch
    from torch.utils._pytree import tree_leaves

    pairs = zip(tree_leaves(given), tree_leaves(copies), strict=True)
    return [copy for x, copy in pairs if isinstance(x, torch.Tensor) and x.requires_grad]


class _Paths:
    """The paths of a model's modules, and of those that a transformation makes anew of its arrays."""

    def __init__(self, root: nnx.Module):
        nodes = list(nnx.iter_graph(root))
        variables = [(path, node.get_raw_value()) for path, node in nodes if isinstance(node, nnx.Variable)]
        self.modules = {id(node): path for path, node in nodes if isinstance(node, nnx.Module)}
        self.arrays = {id(array): path for path, array in variables}
        self.alive: list[Any] = [array for _, array in variables]  # so that no other object takes their ids

    def of(self, module: nnx.Module) -> Path | None:
        if id(module) in self.modules:
            return self.modules[id(module)]
        for local, node in nnx.iter_graph(module):
            array = node.get_raw_value() if isinstance(node, nnx.Variable) else None
            path = None if array is None else self.arrays.get(id(array)) or origin(array)
            if path and path[-len(local) :] == local:
                inside = ((where, node) for where, node in nnx.iter_graph(module) if isinstance(node, nnx.Module))
                self.modules.update({id(node): (*path[: -len(local)], *where) for where, node in inside})
                self.alive.append(module)
                return self.modules[id(module)]
        return None


@contextmanager
def nnx_calls(root: nnx.Module, around: Around) -> Iterator[None]:
    """Lets `around` stand in within the block for every call of `root` and its submodules."""
    paths = _Paths(root)
    types = {type(node) for _, node in nnx.iter_graph(root) if isinstance(node, nnx.Module) and callable(node)}
    here = get_opaque_trace_state(convention="nnx")
    active = []

    def wrap(stock: Callable) -> Callable:
        def __call__(self: nnx.Module, *args: Any, **kwargs: Any) -> Any:
            path = paths.of(self) if get_opaque_trace_state(convention="nnx") == here else None
            if path is None or (active and active[-1] is self):  # the latter: a call of the parent class's
                return stock(self, *args, **kwargs)
            active.append(self)
            try:
                return around(path, self, partial(stock, self), args, kwargs)
            finally:
                active.pop()

        return __call__

    methods = {cls: vars(cls).get("__call__") for cls in types}
    stock = {cls: cls.__call__ for cls in types}  # all of them first: a class may inherit from another
    for cls in types:
        cls.__call__ = wrap(stock[cls])
    try:
        with plain_remat():
            yield
    finally:
        for cls, method in methods.items():
            if method is None:
                del cls.__call__
            else:
                cls.__call__ = method


@contextmanager
def linen_calls(around: Around) -> Iterator[None]:
    """Lets `around` stand in within the block for every call of every Linen module."""
    here = get_opaque_trace_state(convention="nnx")

    def intercept(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        if context.method_name != "__call__" or get_opaque_trace_state(convention="nnx") != here:
            return call(*args, **kwargs)
        return around(context.module.path, context.module, call, args, kwargs)

    with linen.intercept_methods(intercept), plain_remat():
        yield
