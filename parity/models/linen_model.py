"""A Linen module as pure functions."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import linen

from d2l_jax.functional import Tree
from d2l_jax.weights.leaf import flatten
from parity.models.calls import Around, Path, linen_calls
from parity.models.flax_model import Called, FlaxModel, Part, Tensor, called, in_names, mode


class LinenModel(Called):
    """A Linen module with its variables; its layers take the precision of what they are given.

    trains: False: it stays in evaluation mode where a step would have it train
    """

    def __init__(self, module: linen.Module, variables: Tree, names: tuple[str, ...] = (), trains: bool = True):
        self.name = type(module).__name__
        self.names = names
        self.trains = trains
        self.module = module
        self.call: Callable = type(module).__call__
        bare = linen.meta.unbox(variables)  # of the names that axes have on a mesh of devices
        plain = {name: dict(collection) for name, collection in bare.items()}
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
        train = train and self.trains
        flags = mode(self.call, train)
        state = [buffers]

        def bound(*args: Any) -> Any:
            args, named = in_names(self.names, args)
            outputs, state[0] = self.applied(params, state[0], args, named | flags, train)
            return outputs

        with linen_calls(around) if around else nullcontext():
            return function(bound, *inputs), state[0]

    def applied(self, params: Tree, buffers: Tree, args: tuple, kwargs: dict, train: bool) -> tuple[Any, Tree]:
        """Returns (outputs, buffers) of a call of the module."""
        return _apply(self.module, params, buffers, args, kwargs, train)

    def in_precision(self, dtype: str) -> "LinenModel":
        return self

    def constants(self) -> set[Path]:
        return {path for path, _ in flatten(self.buffers) if path[0] not in ("batch_stats", "cache")}

    def modules(self, inputs: tuple) -> list[Path]:
        return sorted(kinds_of(self, inputs), key=len)

    def tensors(self, inputs: tuple) -> Iterator[Tensor]:
        return linen_tensors(self, inputs)

    def part(self, module: linen.Module, path: Path, params: Tree, buffers: Tree, *, train: bool) -> Part:
        child = module.clone(parent=None, name=None)
        part_buffers = {name: _below(tree, path) for name, tree in buffers.items()}

        def apply(params: Tree, buffers: Tree, args: tuple, kwargs: dict) -> tuple[Any, Tree]:
            return _apply(child, params, buffers, args, kwargs, train and self.trains)

        return Part(child, apply, _below(params, path), {name: tree for name, tree in part_buffers.items() if tree})


def kinds_of(model: FlaxModel, inputs: tuple) -> dict[Path, type]:
    """Returns the class of every submodule that is called."""
    kinds: dict[Path, type] = {}

    def around(path: Path, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
        kinds[path] = type(module)
        return call(*args, **kwargs)

    jax.eval_shape(partial(model.run, called, train=True, around=around), model.params, model.buffers, *inputs)
    return kinds


def linen_tensors(model: FlaxModel, inputs: tuple) -> Iterator[Tensor]:
    """Yields every variable, with the module that it belongs to, of those that are called."""
    kinds = kinds_of(model, inputs)
    places = [(path, path, value, True) for path, value in flatten(model.params)]
    places += [(path, path[1:], value, False) for path, value in flatten(model.buffers)]
    for path, place, value, trained in places:
        owner = next((place[:end] for end in range(len(place) - 1, -1, -1) if place[:end] in kinds), ())
        yield Tensor(path, trained, np.shape(value), value.dtype, owner, kinds.get(owner, kinds[()]))


def _apply(
    module: linen.Module, params: Tree, buffers: Tree, args: tuple, kwargs: dict, train: bool
) -> tuple[Any, Tree]:
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}  # the first is that of any other name
    variables = {"params": params, **buffers}
    with plain_weight_norm():
        if not train:
            return module.apply(variables, *args, rngs=rngs, **kwargs), buffers
        outputs, changed = module.apply(variables, *args, rngs=rngs, mutable=list(buffers), **kwargs)
    return outputs, {**buffers, **changed}


def plain_weight_norm() -> AbstractContextManager:
    """Lets weight norm compute within the block as PyTorch's does."""
    return linen.intercept_methods(_without_eps)


def _without_eps(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
    """Leaves out weight norm's eps, which PyTorch lacks: no float32 number shows 1e-12, every float64 one does."""
    if isinstance(context.module, linen.WeightNorm) and context.module.epsilon <= 1e-12:
        object.__setattr__(context.module, "epsilon", 0.0)
    return call(*args, **kwargs)


def _below(tree: Tree, path: Path) -> Tree:
    for name in path:
        tree = tree.get(str(name), {})
    return tree
