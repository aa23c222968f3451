"""The parts that a JAX state is made of: parameters, buffers, Optax's states, averaged copies."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx

from d2l_jax.errors import InputError
from parity.match.fitting import alike
from parity.sides.slots import SLOTS
from parity.training_step.homes import averaged, homes_of
from parity.training_step.jax_state import JaxState, Leaves, Path, dotted, fields_of, nodes

NAMED = ("params", "param", "parameters", "weights", "theta", "model", "variables")


@dataclass(frozen=True)
class Part:
    """A transformation's own state within Optax's.

    path:  where it stands
    kind:  its class
    home:  path below the root of all parameters, above those that it moves
    whole: it is a tree of the user's, the only field of its kind
    """

    path: Path
    kind: type
    home: Path = ()
    whole: bool = False

    def at(self, field: str) -> Path:
        """Returns where a field of its kind stands."""
        return self.path if self.whole else (*self.path, field)

    def holds(self, path: Path) -> bool:
        """Tells whether a number of the state is one of its own."""
        return path[: len(self.path)] == self.path


@dataclass(frozen=True)
class Roles:
    """Which leaf of a state is what.

    root:    the path above all parameters
    params:  paths of what is trained
    buffers: paths of further numbers, batch statistics mostly
    copies:  {path above an averaged copy: the paths of its leaves}
    parts:   of Optax's states
    model:   the NNX or Linen module, where the state holds it
    injected: Optax's hyper-parameters are numbers of the state
    part_of: {path above a copy of one of several models: the path above that model}
    others:  buffers that may be parameters, too, in a wider reading
    """

    root: Path
    params: list[Path]
    buffers: list[Path]
    copies: dict[Path, list[Path]]
    parts: list[Part]
    model: Any
    injected: bool = False
    part_of: dict[Path, Path] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)


def roles_of(state: JaxState) -> Roles:
    """Returns the roles. Raises InputError where nothing looks like parameters."""
    parts = _parts(state.original)
    optax_paths = [path for path, node in nodes(state.original) if _is_optax(node)]
    numbers = {
        path: leaf for path, leaf in state.leaves.items() if not any(_below(path, above) for above in optax_paths)
    }
    floating = {path: leaf for path, leaf in numbers.items() if _floating(leaf)}
    moments = {part.path: moments_of(state.leaves, part) for part in parts}
    homes = homes_of({path: tensors for path, tensors in moments.items() if tensors}, floating)
    moved = {path for tensors in moments.values() for path in tensors}
    roots = [()] if homes else _roots(state, floating, moved)
    if not roots:
        raise InputError("jax_state holds no parameters that parity.check_step knows; name them 'params' in a dict")
    root = min(roots, key=lambda each: (averaged(each), not _named(each)))  # gradients that are added up look alike
    each_root = dict.fromkeys(homes.values() or [root])
    params = [path for home in each_root for path in _params(state, home, floating, moved)]
    parts = [replace(part, home=homes.get(part.path, ())) for part in parts]
    below = {path[len(root) :]: np.shape(floating[path]) for path in params}
    others = [path for path in floating if path not in set(params)]
    copies = _copies(others, floating, below)
    apart = [path for path in others if not copies]
    part_of = _of_parts(apart, floating, params, homes.values()) or _of_parts(apart, floating, params, _above(params))
    copies |= {root: paths for root, (_, paths) in part_of.items()}
    copied = {path for paths in copies.values() for path in paths}
    buffers = [path for path in others if path not in copied and np.ndim(floating[path])]
    copies, buffers = _with_buffers(copies, buffers, floating)
    injected = any("Inject" in type(node).__name__ for _, node in nodes(state.original))
    model = None if homes else _model(state.original, root)
    of = {root: home for root, (home, _) in part_of.items()}
    return Roles(root, params, buffers, copies, parts, model, injected, of)


def _below(path: Path, above: Path) -> bool:
    return path[: len(above)] == above


def _floating(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)


def _named(path: Path) -> bool:
    return any(name in NAMED for name in path)


def _is_optax(node: Any) -> bool:
    if isinstance(node, optax.MaskedNode | optax.LookaheadParams):  # which stand for parameters, or are some
        return False
    names = fields_of(node)
    if isinstance(node, tuple) and type(node).__module__.partition(".")[0] == "optax":
        return True
    return any(name in SLOTS for name in names) and not any(name in NAMED for name in names)


def _parts(state: Any) -> list[Part]:
    """Returns the states of single transformations; those that wrap others are looked into."""
    states = [(path, node) for path, node in nodes(state) if _is_optax(node)]
    inner = {path for path, _ in states}
    return [Part(path, type(node)) for path, node in states if not any(p != path and _below(p, path) for p in inner)]


def moments_of(leaves: Leaves, part: Part) -> dict[Path, Any]:
    """Returns what an optimiser holds of parameters, by their paths below their root: () of the only array."""
    start = len(part.path) + 1
    mine = {path: x for path, x in leaves.items() if _below(path, part.path) and len(path) >= start}
    of_many = {path[start:]: x for path, x in mine.items() if len(path) > start}
    of_one = {path[start:]: x for path, x in mine.items() if path[-1] in SLOTS and _floating(x)}
    return of_many or of_one


def _roots(state: JaxState, floating: Leaves, moved: set[Path]) -> list[Path]:
    if state.in_place:
        modules = [path for path, node in nodes(state.original) if isinstance(node, nnx.Module)]
        modules = [path for path in modules if any(_below(leaf, path) for leaf in floating)]
        outer = [p for p in modules if not any(q != p and _below(p, q) for q in modules)]
        if outer:
            return outer
    if fast := [(*path, "fast") for path, node in nodes(state.original) if isinstance(node, optax.LookaheadParams)]:
        return fast
    if moved:
        first = min(moved, key=str)
        ends = [path[: len(path) - len(first)] for path in floating if path[len(path) - len(first) :] == first]
        return [above for above in ends if all((*above, *rest) in floating for rest in moved)]
    named = [path[: path.index(name) + 1] for path in floating for name in NAMED if name in path]
    if named:
        return list(dict.fromkeys(named))
    if isinstance(state.original, tuple | list) and not hasattr(state.original, "_fields"):
        return [(0,)] if any(path[:1] == (0,) for path in floating) else []
    return [()] if floating else []


def _params(state: JaxState, root: Path, floating: Leaves, moved: set[Path]) -> list[Path]:
    if not state.in_place:
        inside = [path for path in floating if _below(path, root)]
        if root == () and moved:
            return [path for path in inside if path in moved]
        return [path for path in inside if not averaged(path[len(root) :])]
    kinds = dict(nnx.iter_graph(state.original))
    return [path for path in floating if _below(path, root) and isinstance(kinds.get(path), nnx.Param)]


def _copies(others: list[Path], floating: Leaves, below: dict[Path, tuple]) -> dict[Path, list[Path]]:
    """Returns the subtrees that hold the same shapes under the same names as the parameters."""
    if not below:
        return {}
    first = next(iter(below))
    above = [path[: len(path) - len(first)] for path in others if path[len(path) - len(first) :] == first]
    copies = {}
    for root in above:
        paths = [(*root, *rest) for rest in below]
        if all(path in floating and np.shape(floating[path]) == below[path[len(root) :]] for path in paths):
            copies[root] = paths
    return copies


def _of_parts(
    others: list[Path], floating: Leaves, params: list[Path], homes: Iterable[Path]
) -> dict[Path, tuple[Path, list[Path]]]:
    """Returns what holds the shapes of one of several models, as target networks do: that model's path, and its own."""
    found: dict[Path, tuple[Path, list[Path]]] = {}
    for home in dict.fromkeys(homes):
        below = {path[len(home) :]: np.shape(floating[path]) for path in params if _below(path, home)}
        for root, paths in _copies(others, floating, below).items():
            if root not in found or _alike(home, root) > _alike(found[root][0], root):
                found[root] = home, paths
    return {root: what for root, what in found.items() if not any(p != root and _below(root, p) for p in found)}


def _above(params: list[Path]) -> list[Path]:
    """Returns the paths above two parameters or more, as of the encoder within a net that has a predictor besides."""
    above = [path[:length] for path in params for length in range(1, len(path))]
    return [path for path in dict.fromkeys(above) if above.count(path) > 1]


def _alike(one: Path, other: Path) -> float:
    return alike(dotted(one), dotted(other))


def _with_buffers(
    copies: dict[Path, list[Path]], buffers: list[Path], floating: Leaves
) -> tuple[dict[Path, list[Path]], list[Path]]:
    """Gives averaged statistics to the copy that they stand beside."""
    mine = []
    copies = {root: list(paths) for root, paths in copies.items()}
    for path in buffers:
        roots = [root for root in copies if _below(path, root) or (len(root) > 1 and _below(path, root[:-1]))]
        if roots:
            copies[roots[0]].append(path)
        else:
            mine.append(path)
    return copies, [path for path in mine if not averaged(path)]


def _model(state: Any, root: Path) -> Any:
    for path, node in nodes(state):
        if path == root and isinstance(node, nnx.Module):
            return node
        module = getattr(getattr(node, "apply_fn", None), "__self__", None)
        if isinstance(module, linen.Module):
            return module
    return None


def shapes(state: JaxState, paths: list[Path]) -> Iterator[str]:
    """Returns the paths with their shapes, in words."""
    return (f"{dotted(path)} {jax.numpy.shape(state.leaves[path])}" for path in paths)
