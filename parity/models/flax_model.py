"""A Flax model of either kind as pure functions over two plain dicts: what the rest of the room sees of it.

params:  what is trained, by path
buffers: everything else that changes; Linen's by collection first, ("batch_stats", "BatchNorm_0", "mean")
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

from d2l_jax.functional import Tree, eval_view, train_view
from parity.models.calls import Around, Path, linen_calls, nnx_calls
from parity.weights.leaf import flatten


@dataclass(frozen=True)
class Tensor:
    """A variable of a Flax model.

    path:   where it stands in params or buffers
    owner:  the path of the module that it belongs to
    kind:   that module's class
    """

    path: Path
    trained: bool
    shape: tuple[int, ...]
    dtype: Any
    owner: Path
    kind: type


class FlaxModel(Protocol):
    """What both kinds of model can do."""

    name: str
    params: Tree
    buffers: Tree

    def run(
        self,
        function: Callable,
        params: Tree,
        buffers: Tree,
        *inputs: Any,
        train: bool,
        around: Around | None = None,
    ) -> tuple[Any, Tree]:
        """Returns (function(model, *inputs), buffers); `around` stands in for every call of a submodule."""
        ...

    def apply(
        self, params: Tree, buffers: Tree, args: tuple, *, train: bool, around: Around | None = None
    ) -> tuple[Any, Tree]:
        """Returns (outputs, buffers) of one call of the model."""
        ...

    def in_precision(self, dtype: str) -> "FlaxModel":
        """The model whose layers compute in `dtype` where they are made for float32, as PyTorch's `to` does."""
        ...

    def tensors(self, inputs: tuple) -> Iterator[Tensor]:
        """Every variable but random keys, in the model's own order."""
        ...

    def modules(self, inputs: tuple) -> list[Path]:
        """The path of every submodule, the model's own () first."""
        ...

    def part(self, module: Any, path: Path, params: Tree, buffers: Tree, *, train: bool) -> "Part":
        """The submodule that `around` was given for `path`, on its own."""
        ...


def called(model: Callable, *inputs: Any) -> Any:
    """Returns what the model makes of the inputs: the plainest function to run."""
    return model(*inputs)


@dataclass(frozen=True)
class Part:
    """A submodule on its own: `apply(params, buffers, args, kwargs) -> (outputs, buffers)`.

    key: equal for parts that compute the same function, so that they are compiled once
    """

    key: Any
    apply: Callable[..., tuple[Any, Tree]]
    params: Tree
    buffers: Tree


class Called:
    """The one thing that both kinds share."""

    run: Callable[..., tuple[Any, Tree]]

    def apply(
        self, params: Tree, buffers: Tree, args: tuple, *, train: bool, around: Around | None = None
    ) -> tuple[Any, Tree]:
        """Returns (outputs, buffers) of one call of the model."""
        return self.run(called, params, buffers, *args, train=train, around=around)


class NNXModel(Called):
    """An NNX module; it is not changed."""

    def __init__(self, model: nnx.Module):
        self.name = type(model).__name__
        self._views = {True: train_view(model), False: eval_view(model)}
        _, params, buffers = nnx.split(self._views[True], nnx.Param, ...)
        self.params, self.buffers = nnx.to_pure_dict(params), nnx.to_pure_dict(buffers)
        self._graphs = {train: nnx.graphdef(view) for train, view in self._views.items()}

    def in_precision(self, dtype: str) -> "NNXModel":
        model = nnx.clone(self._views[True])
        for _, node in nnx.iter_graph(model):
            for name in ("dtype", "param_dtype"):  # the latter is that of a recurrent cell's first state
                if isinstance(node, nnx.Module) and getattr(node, name, None) == jnp.float32:
                    setattr(node, name, jnp.dtype(dtype))
        return NNXModel(model)

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
        flags = mode(call, train) if call else {}

        def bound(module: Any, *inputs: Any) -> Any:
            return function(partial(module, **flags) if flags else module, *inputs)

        with nnx_calls(module, around) if around else nullcontext():
            result = nnx.capture(bound)(module, *inputs)  # what it sows is no state, and is dropped
        return result, nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.Param)))

    def tensors(self, inputs: tuple) -> Iterator[Tensor]:
        modules = {path: node for path, node in nnx.iter_graph(self._views[True]) if isinstance(node, nnx.Module)}
        for path, node in nnx.iter_graph(self._views[True]):
            if isinstance(node, nnx.Variable) and not isinstance(node, nnx.RngState):
                owner = next(path[:end] for end in range(len(path) - 1, -1, -1) if path[:end] in modules)
                kind = type(modules[owner])
                yield Tensor(path, isinstance(node, nnx.Param), node.shape, node.dtype, owner, kind)

    def modules(self, inputs: tuple) -> list[Path]:
        nodes = nnx.iter_graph(self._views[True])
        found = (path for path, node in nodes if isinstance(node, nnx.Module) and callable(node))
        return sorted(found, key=len)

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
    return nnx.capture(type(module).__call__)(module, *args, **kwargs)


def _forget_initializers(module: nnx.Module) -> None:
    """They would tell layers apart that compute the same."""
    for _, node in nnx.iter_graph(module):
        for name in list(vars(node)) if isinstance(node, nnx.Module) else []:
            if name.endswith("_init"):
                setattr(node, name, None)


class LinenModel(Called):
    """A Linen module with its variables; its layers take the precision of what they are given."""

    def __init__(self, module: linen.Module, variables: Tree):
        self.name, self.module = type(module).__name__, module
        plain = {name: dict(collection) for name, collection in variables.items()}
        self.params = plain.pop("params", {})
        self.buffers = plain

    def run(
        self,
        function: Callable,
        params: Tree,
        buffers: Tree,
        *inputs: Any,
        train: bool,
        around: Around | None = None,
    ) -> tuple[Any, Tree]:
        flags = mode(type(self.module).__call__, train)
        state = [buffers]

        def bound(*args: Any) -> Any:
            outputs, state[0] = _apply(self.module, params, state[0], args, flags, train)
            return outputs

        with linen_calls(around) if around else nullcontext():
            return function(bound, *inputs), state[0]

    def in_precision(self, dtype: str) -> "LinenModel":
        return self

    def modules(self, inputs: tuple) -> list[Path]:
        return sorted(self._kinds(inputs), key=len)

    def _kinds(self, inputs: tuple) -> dict[Path, type]:
        """The class of every submodule that is called."""
        kinds: dict[Path, type] = {}

        def around(path: Path, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
            kinds[path] = type(module)
            return call(*args, **kwargs)

        run = lambda *inputs: self.run(called, self.params, self.buffers, *inputs, train=True, around=around)  # noqa: E731
        jax.eval_shape(run, *inputs)
        return kinds

    def tensors(self, inputs: tuple) -> Iterator[Tensor]:
        kinds = self._kinds(inputs)
        places = [(path, path, value, True) for path, value in flatten(self.params)]
        places += [(path, path[1:], value, False) for path, value in flatten(self.buffers)]
        for path, place, value, trained in places:
            owner = next((place[:end] for end in range(len(place) - 1, -1, -1) if place[:end] in kinds), ())
            yield Tensor(path, trained, np.shape(value), value.dtype, owner, kinds.get(owner, type(self.module)))

    def part(self, module: linen.Module, path: Path, params: Tree, buffers: Tree, *, train: bool) -> Part:
        child = module.clone(parent=None, name=None)
        own = {name: _below(tree, path) for name, tree in buffers.items()}

        def apply(params: Tree, buffers: Tree, args: tuple, kwargs: dict) -> tuple[Any, Tree]:
            return _apply(child, params, buffers, args, kwargs, train)

        return Part(child, apply, _below(params, path), {name: tree for name, tree in own.items() if tree})


def _apply(
    module: linen.Module, params: Tree, buffers: Tree, args: tuple, kwargs: dict, train: bool
) -> tuple[Any, Tree]:
    rngs = {"dropout": jax.random.key(0)}
    variables = {"params": params, **buffers}
    if not train:
        return module.apply(variables, *args, rngs=rngs, **kwargs), buffers
    outputs, changed = module.apply(variables, *args, rngs=rngs, mutable=list(buffers), **kwargs)
    return outputs, {**buffers, **changed}


def _below(tree: Tree, path: Path) -> Tree:
    for name in path:
        tree = tree.get(str(name), {})
    return tree


def mode(call: Callable, train: bool) -> dict[str, bool]:
    """The arguments by which a model of users' is told that it trains, under the names that are in use."""
    flags = {"train": train, "training": train, "is_training": train, "deterministic": not train}
    flags["use_running_average"] = not train
    return {name: flags[name] for name in inspect.signature(call).parameters if name in flags}
