"""A Flax model of either kind as pure functions over two plain dicts: what the other rooms see of it.

params:  what is trained, by path
buffers: everything else that changes; Linen's by collection first, ("batch_stats", "BatchNorm_0", "mean")
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

from d2l_jax.functional import Tree
from parity.models.calls import Around, Path


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
    """The things that both kinds of model can do."""

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

    def constants(self) -> set[Path]:
        """Returns the paths of the variables that are neither trained nor, by their kind, changed in a run."""
        ...

    @property
    def as_written(self) -> "FlaxModel":
        """Returns the model as users run it, scans as scans."""
        ...

    def apart(self, tree: Tree) -> Tree:
        """Returns a tree of the module's as `params` and `buffers` are: stacked layers are taken apart there."""
        ...

    def joined(self, tree: Tree) -> Tree:
        """Returns the reverse of `apart`."""
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

    @property
    def as_written(self) -> "FlaxModel":
        return cast("FlaxModel", self)

    def apart(self, tree: Tree) -> Tree:
        return tree

    def joined(self, tree: Tree) -> Tree:
        return tree

    def apply(
        self, params: Tree, buffers: Tree, args: tuple, *, train: bool, around: Around | None = None
    ) -> tuple[Any, Tree]:
        """Returns (outputs, buffers) of one call of the model."""
        return self.run(called, params, buffers, *args, train=train, around=around)


def in_names(names: tuple[str, ...], args: tuple) -> tuple[tuple, dict[str, Any]]:
    """Returns what a call gets by place and what by name: inputs that have names, all by name."""
    return ((), dict(zip(names, args, strict=True))) if names else (args, {})


def by_names(module: Callable, names: tuple[str, ...], flags: dict[str, Any]) -> Callable:
    """Returns the module as it is called with inputs alone."""
    if not names:
        return partial(module, **flags) if flags else module
    return lambda *args: module(**dict(zip(names, args, strict=True)), **flags)


def mode(call: Callable, train: bool) -> dict[str, bool]:
    """The arguments by which a model of users' is told that it trains, under the names that are in use."""
    flags = {"train": train, "training": train, "is_training": train, "deterministic": not train}
    flags["use_running_average"] = not train
    return {name: flags[name] for name in inspect.signature(call).parameters if name in flags}
