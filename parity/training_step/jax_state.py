"""JAX's half: a state of any kind as arrays by path, and the user's step over it."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax.errors import InputError
from parity.training_step.losses import scalars
from parity.training_step.widened import widened

Path = tuple[Any, ...]
Leaves = dict[Path, Any]
SCALARS = (bool, int, float, complex, np.generic)


class JaxState:
    """A state as the user made it: a pytree, or NNX objects that the step changes in place; it is not changed.

    leaves: everything in it by path, random keys and counters too
    """

    def __init__(self, state: Any):
        self.original = state
        self.in_place = any(isinstance(node, nnx.Pytree) for _, node in nodes(state))
        self.leaves = self.flattened(state)
        for path, leaf in self.leaves.items():
            if getattr(leaf, "dtype", None) in (jnp.bfloat16, jnp.float16):
                raise InputError(
                    f"jax_state holds {leaf.dtype} at {dotted(path)}; parity.check_step compares steps whose"
                    " state is float32, which they may round to half precision themselves"
                )
        self._shardings = {path: leaf.sharding for path, leaf in self.leaves.items() if _spread(leaf)}

    def flattened(self, state: Any) -> Leaves:
        """Returns the leaves by path."""
        tree = nnx.split(state)[1] if self.in_place else state
        return {_names(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}

    def rebuilt(self, leaves: Mapping[Path, Any], dtype: str) -> Any:
        """Returns a new state of the user's kind with copies of the leaves, floating-point ones in `dtype`."""
        state = self.merged([self._leaf(path, leaves[path], dtype) for path in self.leaves])
        if not self.in_place:
            return state
        for _, node in nnx.iter_graph(state):
            for name in ("dtype", "param_dtype") if isinstance(node, nnx.Module) else ():
                if getattr(node, name, None) == jnp.float32:  # written out for the precision that the model is made for
                    setattr(node, name, jnp.dtype(dtype))
        return state

    def merged(self, leaves: list[Any]) -> Any:
        """Returns a new state of the user's kind with these leaves, in their order."""
        if not self.in_place:
            return jax.tree.unflatten(jax.tree.structure(self.original), leaves)
        graph, tree = nnx.split(self.original)
        return nnx.merge(graph, jax.tree.unflatten(jax.tree.structure(tree), leaves))

    def _leaf(self, path: Path, leaf: Any, dtype: str) -> Any:
        if isinstance(leaf, SCALARS) and not isinstance(leaf, np.generic):
            return leaf
        if not hasattr(leaf, "dtype"):
            return leaf
        copy = cast(leaf, dtype)
        return jax.device_put(copy, self._shardings[path]) if path in self._shardings else copy


def _spread(leaf: Any) -> bool:
    """Tells whether an array lies on several devices."""
    return isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) > 1


def cast(leaf: Any, dtype: str, written: bool = True) -> Any:
    """Returns a copy that may be donated; floating-point numbers in `dtype`, random keys as they are.

    written: a single number of float32 is what was written, 0.01, not what float32 makes of it
    """
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.array(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
    array = np.asarray(leaf)
    if written and array.ndim == 0 and array.dtype == np.float32:
        array = np.array(float(str(array)))
    narrow = {"int64": "int32", "uint64": "uint32"}.get(array.dtype.name, array.dtype)  # as without 64-bit numbers
    return jnp.array(array.astype(dtype if array.dtype.kind == "f" else narrow))


def _names(path: tuple) -> Path:
    """Returns the path as names and numbers; that an NNX variable has a value is no part of it."""
    names = [next(getattr(key, name) for name in ("key", "name", "idx") if hasattr(key, name)) for key in path]
    last = path[-1:] and getattr(path[-1], "name", "")
    return tuple(names[:-1] if last in ("value", "raw_value") else names)


def dotted(path: Path) -> str:
    """Returns the path in words."""
    return ".".join(map(str, path)) or "the state"


def nodes(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yields every node of a state with its path, those that hold others too."""
    yield path, node
    for name, child in _children(node):
        yield from nodes(child, (*path, name))


def fields_of(node: Any) -> tuple[str, ...]:
    """Returns the names of a named tuple's parts; () for anything else, as for Rngs, which have what one asks for."""
    return getattr(node, "_fields", ()) if isinstance(node, tuple) else ()


def _children(node: Any) -> Iterator[tuple[Any, Any]]:
    if names := fields_of(node):
        return ((name, getattr(node, name)) for name in names)
    if isinstance(node, tuple | list | nnx.List):
        return iter(enumerate(node))
    if isinstance(node, Mapping):
        return iter(list(node.items()))
    if isinstance(node, nnx.Pytree):
        return ((name, value) for name, value in vars(node).items() if not name.startswith("_"))
    if is_dataclass(node) and not isinstance(node, type):
        return ((field.name, getattr(node, field.name)) for field in fields(node))
    return iter(())


class JaxStep:
    """The user's step over a state: `(leaves, batch) -> (leaves, what else it returns)`."""

    def __init__(self, step: Callable, state: JaxState):
        self.step = step
        self.state = state
        several = isinstance(state.original, tuple) and not hasattr(state.original, "_fields")
        self._unpacked = several and _arguments(step) > 2

    def taken(self, leaves: Mapping[Path, Any], batch: Any, dtype: str) -> tuple[Leaves, Any]:
        """Takes one step from the leaves; the batch is of numpy arrays."""
        return self.called(self.state.rebuilt(leaves, dtype), _ready(batch, dtype))

    def called(self, state: Any, batch: Any) -> tuple[Leaves, Any]:
        """Takes one step from a state of the user's kind."""
        return self._split(self.step(*state, batch) if self._unpacked else self.step(state, batch), state)

    def traced(self, leaves: Mapping[Path, Any], batch: Any, dtype: str) -> tuple[Any, Any, list[Any]]:
        """Returns the step's program, the form of what it returns, and its arguments."""
        paths = [path for path, leaf in leaves.items() if hasattr(leaf, "dtype")]

        def program(numbers: list[Any], batch: Any) -> Any:
            whole = dict(leaves) | dict(zip(paths, numbers, strict=True))
            state = self.state.merged([whole[path] for path in self.state.leaves])
            after, returned = self.called(state, batch)
            return list(after.values()), scalars(returned, jnp.reshape)

        args = [cast(leaves[path], dtype) for path in paths], _ready(batch, dtype)
        jaxpr, form = jax.make_jaxpr(program, return_shape=True)(*args)
        return jaxpr, form, jax.tree.leaves(args)

    def arguments(self, leaves: Mapping[Path, Any], batch: Any, dtype: str) -> list[Any]:
        """Returns the arguments of the traced program for other leaves."""
        return jax.tree.leaves(([cast(x, dtype) for x in leaves.values() if hasattr(x, "dtype")], _ready(batch, dtype)))

    def draws(self, batch: Any) -> bool:
        """Tells whether the step asks for random numbers; one that cannot be traced is taken not to."""
        try:
            with jax.enable_x64(False):
                return "random_bits" in str(self.traced(self.state.leaves, batch, "float32")[0])
        except Exception:  # it looks at its numbers
            return False

    def widened(self, leaves: Mapping[Path, Any], batch: Any) -> tuple[Leaves, Any]:
        """Takes one step with what the step itself rounds left unrounded, all in float64."""
        jaxpr, form, args = self.traced(leaves, batch, "float64")
        after, returned = jax.tree.unflatten(jax.tree.structure(form), jax.jit(widened(jaxpr))(*args))
        return dict(zip(self.state.leaves, after, strict=True)), returned

    def _split(self, returned: Any, state: Any) -> tuple[Leaves, Any]:
        """Returns the new state's leaves and the rest of what the step returned."""
        parts = returned if isinstance(returned, tuple) and not hasattr(returned, "_fields") else (returned,)
        count = len(self.state.original) if isinstance(self.state.original, tuple) else 1
        for new, rest in _divisions(returned, parts, count):
            if (leaves := self._leaves_of(new)) is not None:
                return leaves, rest
        if self.state.in_place:
            return self.state.flattened(state), returned
        raise InputError(
            "jax_step returned no state: (state, batch) -> state, or (state, loss), of the same structure is right; "
            + _difference(self.state.leaves, returned)
        )

    def _leaves_of(self, new: Any) -> Leaves | None:
        try:
            leaves = self.state.flattened(new)
        except Exception:  # a loss is no graph of NNX's
            return None
        if leaves.keys() != self.state.leaves.keys():
            return None
        return {path: leaves[path] for path in self.state.leaves}


def _ready(batch: Any, dtype: str) -> Any:
    """Returns a batch as PyTorch's step gets it, too."""
    return jax.tree.map(lambda x: cast(x, dtype, written=False) if hasattr(x, "dtype") else x, batch)


def _divisions(returned: Any, parts: tuple, count: int) -> Iterator[tuple[Any, Any]]:
    """Yields (what may be the state, the rest): all of it, the first, the last, or as many as the state has."""
    yield returned, None
    if len(parts) > 1:
        yield parts[0], parts[1:]
        yield parts[-1], parts[:-1]
        yield parts[:count], parts[count:]
        yield parts[-count:], parts[:-count]


def _difference(leaves: Leaves, returned: Any) -> str:
    new = returned[0] if isinstance(returned, tuple) and returned else returned
    try:
        paths = {_names(path) for path, _ in jax.tree_util.tree_flatten_with_path(new)[0]}
    except Exception:
        paths = set()
    missing = [dotted(path) for path in leaves if path not in paths]
    return f"it lacks {', '.join(missing[:3])}" + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")


def _arguments(step: Callable) -> int:
    """Counts the arguments that the step must be given."""
    try:
        parameters = inspect.signature(step).parameters.values()
    except (TypeError, ValueError):
        return 2
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters)
