"""Tensors without a layer that told their counterpart, whose rows are several arrays of Flax's: tokens, tables."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from d2l_jax.weights.leaf import Leaf, without_ones
from parity.match.books import Books
from parity.match.fitting import alike
from parity.match.flax_layers import Variable
from parity.match.kernels import ways

PARTS = 4  # of one tensor
MOST = 100  # ways to share what is left
MOST_SETS = 10_000  # of arrays that might be one tensor

Shape = tuple[int, ...]
Parts = tuple[Variable, ...]


def tensors_by_rows(books: Books, variant: int) -> None:
    """Pairs what is left where arrays of Flax's make up all rows of a tensor.

    Which rows are whose is no more than supposed: another `variant` has another order, and the runs decide.
    """
    left = [v for v in books.unpaired_variables() if v.trained and v.path not in books.variables.pieces]
    keys = [key for key in books.unpaired() if key not in books.variables.promised and len(left) > 1]
    shapes = {key: without_ones(books.recorded.arrays[key].shape) for key in keys}
    sets = {key: found for key, shape in shapes.items() if (found := list(_sets(key, shape, left)))}
    shared = sorted(itertools.islice(_shared(sets), MOST), key=lambda parts: _oddity(left, parts))
    orders = itertools.chain.from_iterable(map(_orders, shared))
    for key, parts in (next(itertools.islice(orders, variant, None), None) or {}).items():
        for leaf in _leaves(key, shapes[key], parts):
            books.add(leaf)


def _sets(key: str, shape: Shape, variables: Sequence[Variable]) -> Iterator[Parts]:
    """Yields the variables, two or more, that have as many numbers together as the tensor, each some of its rows."""
    unit, rows = math.prod(shape[1:]), shape[0] if shape else 0  # a single number has no rows
    narrower = [v for v in variables if unit and not v.size % unit and 0 < v.size < unit * rows]
    summing = (parts for count in range(2, PARTS + 1) for parts in _summing(narrower, count, unit * rows))
    for parts in itertools.islice(summing, MOST_SETS):
        if len(list(_leaves(key, shape, parts))) == len(parts):
            yield parts


def _summing(variables: Sequence[Variable], count: int, size: int) -> Iterator[Parts]:
    """Yields as many of the variables, in their order, that have so many numbers together."""
    for place, first in enumerate(variables) if count else ():
        if count == 1 and first.size == size:
            yield (first,)
        elif count > 1 and first.size < size:
            yield from ((first, *others) for others in _summing(variables[place + 1 :], count - 1, size - first.size))


def _shared(sets: Mapping[str, Sequence[Parts]]) -> Iterator[dict[str, Parts]]:
    """Yields which tensor has which variables, none of them twice; first those that look likeliest, one by one."""
    if not sets:
        yield {}
        return
    (key, found), *others = sets.items()
    for parts in [*sorted(found, key=lambda parts: _oddity_of(key, parts)), ()]:
        taken = {variable.path for variable in parts}
        free = {k: [p for p in more if taken.isdisjoint(v.path for v in p)] for k, more in others}
        for shared in _shared(free):
            yield {key: parts, **shared} if parts else shared


def _oddity(left: Sequence[Variable], shared: Mapping[str, Parts]) -> tuple[int, int, float]:
    """Returns how many variables are left, of how many modules and names the parts are, and how little names agree."""
    kinds, unlike = zip((0, 0.0), *itertools.starmap(_oddity_of, shared.items()), strict=True)
    return len(left) - sum(map(len, shared.values())), sum(kinds), sum(unlike)


def _oddity_of(key: str, parts: Parts) -> tuple[int, float]:
    kinds = min(len({variable.path[:-1] for variable in parts}), len({variable.path[-1] for variable in parts}))
    return kinds, -sum(alike(key.rpartition(".")[2], variable.path[-1]) for variable in parts)


def _orders(shared: Mapping[str, Parts]) -> Iterator[dict[str, Parts]]:
    for orders in itertools.product(*map(itertools.permutations, shared.values())):
        yield dict(zip(shared, orders, strict=True))


def _leaves(key: str, shape: Shape, parts: Parts) -> Iterator[Leaf]:
    end = 0
    for variable in parts:
        first, end = end, end + variable.size // math.prod(shape[1:])
        yield from ways(key, (end - first, *shape[1:]), variable, None, rows=(first, end))[:1]
