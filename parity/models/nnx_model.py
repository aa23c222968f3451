"""An NNX module as pure functions."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import jax.numpy as jnp
from flax import nnx

from d2l_jax.functional import Tree, captured
from parity.models.calls import Around, Path, nnx_calls
from parity.models.evaluation import in_mode
from parity.models.flax_model import Called, Part, Tensor, by_names, mode


class NNXModel(Called):
    """An NNX module; it is not changed.

    trains: False: it stays in evaluation mode where a step would have it train
    """

    def __init__(self, model: nnx.Module, names: tuple[str, ...] = (), trains: bool = True):
        self.name = type(model).__name__
        self.names = names
        self.trains = trains
        self._views = {train: in_mode(model, train and trains) for train in (True, False)}
        _, params, buffers = nnx.split(self._views[True], nnx.Param, ...)
        self.params = nnx.to_pure_dict(params)
        self.buffers = nnx.to_pure_dict(buffers)
        self._graphs = {train: nnx.graphdef(view) for train, view in self._views.items()}

    @property
    def module(self) -> nnx.Module:
        """Returns the module in training mode, to be looked at alone."""
        return self._views[True]

    def in_precision(self, dtype: str) -> "NNXModel":
        model = nnx.clone(self._views[True])
        for _, node in nnx.iter_graph(model):
            for name in ("dtype", "param_dtype"):  # the latter is that of a recurrent cell's first state
                if isinstance(node, nnx.Module) and getattr(node, name, None) == jnp.float32:
                    setattr(node, name, jnp.dtype(dtype))
        return NNXModel(model, self.names, self.trains)

    def run(
        self,
        function: Callable,
        params: Tree,
        buffers: Tree,
        *inputs: Any,
        train: bool,
        around: Around | None = None,
    ) -> tuple[Any, Tree]:
        module = nnx.merge(self._graphs[train], params, buffers)
        call = getattr(module, "__call__", None)  # noqa: B004
        flags: dict[str, Any] = dict(mode(call, train and self.trains)) if call else {}
        if call and "rngs" in inspect.signature(call).parameters:
            flags["rngs"] = nnx.Rngs(0)  # whatever it draws is replaced

        def bound(module: Any, *inputs: Any) -> Any:
            return function(by_names(module, self.names, flags), *inputs)

        with nnx_calls(module, around) if around else nullcontext():
            result = captured(bound)(module, *inputs)  # what it sows is no state, and is dropped
        return result, nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.Param)))

    def tensors(self, inputs: tuple) -> Iterator[Tensor]:
        modules = {path: node for path, node in nnx.iter_graph(self._views[True]) if isinstance(node, nnx.Module)}
        for path, node in nnx.iter_graph(self._views[True]):
            if isinstance(node, nnx.Variable) and not isinstance(node, nnx.RngState):
                owner = next(path[:end] for end in range(len(path) - 1, -1, -1) if path[:end] in modules)
                kind = type(modules[owner])
                yield Tensor(path, isinstance(node, nnx.Param), node.shape, node.dtype, owner, kind)

    def constants(self) -> set[Path]:
        changed = nnx.Param | nnx.BatchStat | nnx.RngState | nnx.Cache
        variables = [(path, node) for path, node in nnx.iter_graph(self._views[True]) if isinstance(node, nnx.Variable)]
        return {path for path, node in variables if not isinstance(node, changed)}

    def modules(self, inputs: tuple) -> list[Path]:
        nodes = nnx.iter_graph(self._views[True])
        paths = (path for path, node in nodes if isinstance(node, nnx.Module) and callable(node))
        return sorted(paths, key=len)

    def part(self, module: nnx.Module, path: Path, params: Tree, buffers: Tree, *, train: bool) -> Part:
        whole = nnx.merge(self._graphs[train], params, buffers)
        child = next(node for where, node in nnx.iter_graph(whole) if where == path)
        _forget_initializers(child)
        graph, own_params, own_buffers = nnx.split(child, nnx.Param, ...)

        def apply(params: Tree, buffers: Tree, args: tuple, kwargs: dict) -> tuple[Any, Tree]:
            module = nnx.merge(graph, params, buffers)
            outputs = _called(module, args, kwargs)
            return outputs, nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.Param)))

        return Part(graph, apply, nnx.to_pure_dict(own_params), nnx.to_pure_dict(own_buffers))


def _called(module: nnx.Module, args: tuple, kwargs: dict) -> Any:
    """The module's outputs; what it sows is no state, and is dropped."""
    return captured(type(module).__call__)(module, *args, **kwargs)


def _forget_initializers(module: nnx.Module) -> None:
    """Forgets the initialisers, which would tell layers apart that compute the same."""
    for _, node in nnx.iter_graph(module):
        for name in list(vars(node)) if isinstance(node, nnx.Module) else []:
            if name.endswith("_init"):
                setattr(node, name, None)
