"""The start of a user's own pair: of makers several draws, of models the one that they hold."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen, nnx

from d2l_jax.errors import InputError
from d2l_jax.functional import Tree
from parity.models.flax_model import mode
from parity.models.torch_precision import has_attributes, with_attributes
from parity.start.compare import Started, compared
from parity.start.draws import Drawn, FreshFlax, exported, seeds_for, torch_arrays, torch_draws
from parity.start.modes import compare_modes
from parity.start.of_case import fans_of
from parity.twin.twin import Twin

HUGE = 20_000_000  # numbers of a model from which one draw is enough


def torch_module_of(model: Any) -> Any:
    """Returns PyTorch's module, made where a class or a function without arguments makes it."""
    if isinstance(model, torch.nn.Module) or not (inspect.isroutine(model) or isinstance(model, type | partial)):
        return model
    try:
        module = next(torch_draws(model, 1))
    except TypeError as error:
        raise InputError(f"the maker of PyTorch's model takes no arguments, as `lambda: Net(...)`: {error}") from error
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"the maker of PyTorch's model returns a {type(module).__name__}; a torch.nn.Module is right")
    return module


@dataclass(frozen=True)
class Fresh:
    """A user's two models, or their makers, as they stand in the call; see `parity.check`."""

    model: Any
    variables: Any
    torch_model: Any
    inputs: tuple

    def compared(self, twin: Twin) -> list[Started]:
        """Returns every tensor that both have, and the modes in which the two start."""
        size = sum(parameter.numel() for parameter in twin.torch.model.parameters())
        seeds = 1 if size > HUGE else seeds_for(size)
        flax, trees = self._flax(seeds)
        apart = twin.flax.model.apart
        ours = [exported(twin.leaves, *map(apart, tree)) for tree in trees]
        models = list(self._torch(seeds))
        theirs = [torch_arrays(model, twin.leaves) for model in models]
        modes = compare_modes(flax, models[0], twin.names)
        return modes + compared(ours, theirs, fans_of(twin.leaves, models[0]))

    def _torch(self, seeds: int) -> Iterator[torch.nn.Module]:
        makes = not isinstance(self.torch_model, torch.nn.Module)
        for model in torch_draws(self.torch_model, seeds) if makes else [self.torch_model]:
            yield with_attributes(model) if makes and has_attributes(model) else model

    def _flax(self, seeds: int) -> tuple[nnx.Module | linen.Module, Iterator[tuple[Tree, Tree]]]:
        """Returns the module, and (parameters, buffers) of each draw."""
        if isinstance(self.model, linen.Module):
            return self.model, map(_collections, self._linen(self.model, seeds))
        if isinstance(self.model, nnx.Module):
            return self.model, iter([_twice(_held(self.model))])
        fresh = _traced(self.model)
        if fresh is None:  # it computes with values while it is made
            model = self.model()
            return model, iter([_twice(_held(model))])
        return fresh.model, map(_twice, fresh.draws(seeds))

    def _linen(self, model: linen.Module, seeds: int) -> Iterator[Any]:
        if self.variables is not None:
            return iter([linen.meta.unbox(self.variables)])
        flags: dict[str, Any] = mode(type(model).__call__, False)
        arrays = tuple(map(jnp.asarray, self.inputs))
        return Drawn(lambda: dict(linen.meta.unbox(model.init(jax.random.key(0), *arrays, **flags)))).draws(seeds)


def _traced(make: Callable[[], nnx.Module]) -> FreshFlax | None:
    try:
        return FreshFlax(make)
    except Exception:
        return None


def _twice(tree: Tree) -> tuple[Tree, Tree]:
    """Returns the tree as parameters and as buffers, which NNX keeps in one."""
    return tree, tree


def _held(model: nnx.Module) -> Tree:
    """Returns the numbers of a model that is there."""
    return jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.RngState))))


def _collections(variables: Any) -> tuple[Tree, Tree]:
    plain = {name: dict(collection) for name, collection in variables.items()}
    return plain.pop("params", {}), plain
