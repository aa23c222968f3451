"""Scans and maps over stacked layers as loops, and rematerialised layers as plain calls: what is within is seen.

`nn.scan`, `nnx.scan` and `jax.lax.scan` over layers whose parameters stand in one array call each layer once, in a
trace of its own, and so do `nn.vmap`, `nnx.vmap` and `jax.vmap` over an ensemble. As a loop they compute the same, and
every layer has a call, with its own part of the array.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.core import axes_scan
from jax.api_util import flatten_axes
from jax.core import Tracer

Path = tuple[Any, ...]


class Stacks:
    """The stacked layers of a model while it runs.

    sizes: {where the stack stands: how many layers}
    scanned: {path of a variable: (how many slices, along which axis)} of all arrays that scans went through, whether
        they are known or not
    number: which layer of a stack the innermost loop is at
    slices: (path of a variable, the part of it that a layer was given)
    """

    def __init__(self, arrays: Mapping[Path, Any], sizes: Mapping[Path, int]):
        self.sizes = sizes
        self.scanned: dict[Path, tuple[int, int]] = {}
        self.number: int | None = None
        self.slices: list[tuple[Path, Any]] = []
        self._arrays = [(path, array) for path, array in arrays.items() if np.ndim(array)]

    def look(self, scanned: Iterable[tuple[Any, int]]) -> bool:
        """Tells whether a scan of arrays along axes goes over layers that are to be called one by one."""
        found = {path: (x, axis) for x, axis in scanned if (path := self._path_of(x)) is not None}
        self.scanned |= {path: (x.shape[axis], axis % x.ndim) for path, (x, axis) in found.items()}
        return any(path[:end] in self.sizes for path in found for end in range(1, len(path) + 1))

    def sliced(self, x: Any, number: int, axis: int) -> Any:
        """Returns the part of an array for one layer."""
        part = x[number] if axis == 0 else jax.lax.index_in_dim(x, number, axis, keepdims=False)
        path = self._path_of(x)
        if path is not None:
            self.slices.append((path, part))
        return part

    def _path_of(self, x: Any) -> Path | None:
        """Returns the variable whose array this is; outside of traces an array may be a copy."""
        for path, array in self._arrays:
            if x is array:
                return path
        concrete = isinstance(x, jax.Array) and not isinstance(x, Tracer) and np.ndim(x) > 1
        if not concrete or jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return None
        for path, array in self._arrays:
            same = array.shape == x.shape and not isinstance(array, Tracer) and array.dtype == x.dtype
            if same and np.array_equal(array, x):
                return path
        return None

    def path(self, path: Path) -> Path:
        """Returns the path of the layer that is being called, by its number in the stack."""
        for end in range(1, len(path) + 1):
            if path[:end] in self.sizes and self.number is not None:
                return (*path[: end - 1], part_name(path[end - 1], self.number), *path[end:])
        return path

    @contextmanager
    def at(self, number: int) -> Iterator[None]:
        before = self.number
        self.number = number
        try:
            yield
        finally:
            self.number = before


RUNNING: list[Stacks] = []


def origin(part: Any) -> Path | None:
    """Returns the path of the variable that a layer of a stack has its part of."""
    return next((path for stacks in RUNNING for path, x in stacks.slices if x is part), None)


def part_name(name: Any, number: int) -> str:
    """Returns the name of one layer of a stack: it stands beside the stack, as an item of a list."""
    return f"{name}.{number}"


def stack_and_number(name: Any) -> tuple[str, int] | None:
    """Returns the stack and the layer's number of a name that `part_name` gave; of any other, None."""
    stack, _, number = str(name).rpartition(".")
    return (stack, int(number)) if stack and number.isdecimal() else None


@contextmanager
def loops(stacks: Stacks) -> Iterator[None]:
    """Lets scans and maps over the stacks be loops within the block, and hears of all over a model's variables.

    A map that is made before the block stays one.
    """
    of_flax = axes_scan.scan
    of_jax = jax.lax.scan
    stock_map = jax.vmap

    def scan(f: Callable, init: Any, xs: Any = None, length: int | None = None, **options: Any) -> Any:
        flat = jax.tree.leaves(xs)
        if not stacks.look((x, 0) for x in flat):
            return of_jax(f, init, xs, length, **options)
        return _loop(stacks, lambda carry, x, _: f(carry, x), init, xs, [0] * len(flat), bool(options.get("reverse")))

    def lifted(fn: Callable, in_axes: Any, out_axes: Any, *rest: Any, **options: Any) -> Callable:
        def run(broadcast: Any, init: Any, *args: Any) -> Any:
            xs, along = _scanned(in_axes, args)
            if not stacks.look(zip(jax.tree.leaves(xs), along, strict=True)):
                return of_flax(fn, in_axes, out_axes, *rest, **options)(broadcast, init, *args)
            return _lifted_loop(stacks, fn, (in_axes, out_axes), broadcast, init, args, options)

        return run

    def vmap(fun: Callable, in_axes: Any = 0, out_axes: Any = 0, axis_name: Any = None, **options: Any) -> Callable:
        mapped = stock_map(fun, in_axes, out_axes, axis_name, **options)

        def run(*args: Any, **kwargs: Any) -> Any:
            axes = None if kwargs or axis_name is not None else _axes_of(in_axes, args)
            if axes is None or not stacks.look(_along(jax.tree.leaves(args), axes)):
                return mapped(*args, **kwargs)
            return _mapped_loop(stacks, fun, axes, out_axes, args)

        return run

    axes_scan.scan = lifted
    jax.lax.scan = scan
    jax.vmap = vmap
    RUNNING.append(stacks)
    try:
        yield
    finally:
        RUNNING.pop()
        axes_scan.scan = of_flax
        jax.lax.scan = of_jax
        jax.vmap = stock_map


def _axes_of(in_axes: Any, args: tuple) -> list[int | None]:
    """Returns the axis of each array that is mapped over, None of the others."""
    axes = tuple(in_axes) if isinstance(in_axes, list) else in_axes
    return list(flatten_axes("vmap in_axes", jax.tree.structure(args), axes, tupled_args=True))


def _along(arrays: Sequence[Any], axes: Sequence[int | None]) -> Iterator[tuple[Any, int]]:
    yield from ((x, axis) for x, axis in zip(arrays, axes, strict=True) if axis is not None)


def _mapped_loop(stacks: Stacks, fun: Callable, axes: list[int | None], out_axes: Any, args: tuple) -> Any:
    flat, tree = jax.tree.flatten(args)
    count = next(x.shape[axis] for x, axis in zip(flat, axes) if axis is not None)

    def part(x: Any, axis: int | None, number: int) -> Any:
        return x if axis is None else stacks.sliced(x, number, axis)

    results = []
    for number in range(count):
        with stacks.at(number):
            parts = [part(x, axis, number) for x, axis in zip(flat, axes, strict=True)]
            results.append(fun(*jax.tree.unflatten(tree, parts)))
    every, structures = zip(*map(jax.tree.flatten, results), strict=True)
    places = flatten_axes("vmap out_axes", structures[0], out_axes)
    whole = [xs[0] if axis is None else jnp.stack(xs, axis) for axis, xs in zip(places, zip(*every), strict=True)]
    return jax.tree.unflatten(structures[0], whole)


def _lifted_loop(
    stacks: Stacks, fn: Callable, axes: tuple, broadcast: Any, init: Any, args: tuple, options: Mapping[str, Any]
) -> Any:
    """Runs Flax's scan, whose function takes and gives what is the same for all layers, too."""
    in_axes, out_axes = axes
    xs, along = _scanned(in_axes, args)
    last = [broadcast]

    def step(carry: Any, x: Any, _: int) -> tuple[Any, Any]:
        whole = jax.tree.map(lambda axis, arg, part: arg if axis is axes_scan.broadcast else part, in_axes, args, x)
        last[0], carry, y = fn(broadcast, carry, *whole)
        return carry, jax.tree.map(lambda axis, part: () if axis is axes_scan.broadcast else part, out_axes, y)

    carry, ys = _loop(stacks, step, init, xs, along, bool(options.get("reverse")))
    return last[0], carry, jax.tree.map(_from_front, out_axes, ys)


def _scanned(in_axes: Any, args: tuple) -> tuple[Any, list[int]]:
    """Returns the arguments without those that are the same for all layers, and the axis of each array."""
    axes = flatten_axes("scan in_axes", jax.tree.structure(args), in_axes)
    xs = jax.tree.map(lambda axis, tree: () if axis is axes_scan.broadcast else tree, in_axes, args)
    return xs, [axis for axis in axes if axis is not axes_scan.broadcast]


def _from_front(axis: Any, tree: Any) -> Any:
    if axis is axes_scan.broadcast:
        return ()
    return jax.tree.map(lambda x: x if axis == 0 else jnp.moveaxis(x, 0, axis), tree)


def _loop(
    stacks: Stacks, f: Callable[[Any, Any, int], Any], init: Any, xs: Any, axes: Sequence[int], reverse: bool
) -> tuple[Any, Any]:
    flat, tree = jax.tree.flatten(xs)
    count = flat[0].shape[axes[0]]
    carry_flat, carry_tree = jax.tree.flatten(init)
    ys: list[Any] = [None] * count
    for number in range(count)[:: -1 if reverse else 1]:
        # New trees each time, as a scan has them: functions may empty what they are given.
        carry = jax.tree.unflatten(carry_tree, carry_flat)
        with stacks.at(number):
            parts = [stacks.sliced(x, number, axis) for x, axis in zip(flat, axes, strict=True)]
            carry, ys[number] = f(carry, jax.tree.unflatten(tree, parts), number)
        carry_flat, carry_tree = jax.tree.flatten(carry)
    return jax.tree.unflatten(carry_tree, carry_flat), jax.tree.map(lambda *parts: jnp.stack(parts), *ys)


@contextmanager
def plain_remat() -> Iterator[None]:
    """Lets rematerialised functions be plain ones within the block, where they are made in it."""
    stock = jax.checkpoint, jax.remat

    def same(function: Callable | None = None, **options: Any) -> Any:
        return (lambda f: same(f, **options)) if function is None else function

    jax.checkpoint = jax.remat = same
    try:
        yield
    finally:
        jax.checkpoint, jax.remat = stock
