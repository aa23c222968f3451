"""Keys of JAX's draws: one that is used twice draws the same numbers twice, where PyTorch draws anew.

Nothing is computed. Two keys are one where a traced program makes them of the same numbers by the same operations.
"""

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from parity.models.programs import called, programs_in
from parity.models.random_numbers import RandomRequest
from parity.models.random_shapes import Shape

_NUMBERS = itertools.count()


def _fresh() -> Hashable:
    """Returns what nothing else is: an object would not do, whose hash its successor in memory shares."""
    return "fresh", next(_NUMBERS)


class Draw(NamedTuple):
    """A draw of random bits; equal origins of its key are one key."""

    shape: Shape
    key: Hashable


def draws_of(function: Callable, *args: Any) -> list[Draw]:
    """Returns the draws of a function of arrays on which its results depend, in their order."""
    arrays = lambda *args: [x for x in jax.tree.leaves(function(*args)) if hasattr(x, "dtype")]  # noqa: E731
    program = jax.make_jaxpr(arrays)(*args)
    return draws_in(program, map(origin, jax.tree.leaves(args)))[0]


def draws_in(program: Any, origins: Iterator[Hashable]) -> tuple[list[Draw], list[Hashable]]:
    """Returns the draws of a traced program whose arguments have those origins, and the origins of its results."""
    walk = _Walk()
    outputs = walk.through(program.jaxpr, list(map(origin, program.consts)), list(origins))
    return walk.draws, outputs


def origin(value: Any) -> Hashable:
    """Returns what equal keys and whole numbers share; of other numbers no key is made."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return origin(np.asarray(jax.random.key_data(value)))
    if getattr(value, "dtype", np.dtype(float)).kind not in "iub":
        return _fresh()
    array = np.asarray(value)
    return array.shape, array.dtype.str, array.tobytes()


def repeated(requests: Sequence[RandomRequest], draws: Sequence[Draw]) -> dict[int, int]:
    """Returns for each request by a key that was used before the first one by it; none where these are not the draws.

    Other functions, as `jax.random.categorical`, draw beside what is requested.
    """
    left = iter(draws)
    keys = [next((draw.key for draw in left if draw.shape == request.shape), None) for request in requests]
    first: dict[Hashable, int] = {}
    for number, key in enumerate(keys):
        first.setdefault(key, number)
    return {} if None in keys else {number: first[key] for number, key in enumerate(keys) if first[key] != number}


def _alive(jaxpr: Any) -> list[Any]:
    """Returns the equations on which the results depend."""
    wanted = set(filter(_is_variable, jaxpr.outvars))
    alive = []
    for equation in reversed(jaxpr.eqns):
        if wanted.intersection(equation.outvars):
            alive.append(equation)
            wanted.update(filter(_is_variable, equation.invars))
    return alive[::-1]


def _is_variable(value: Any) -> bool:
    return not isinstance(value, core.Literal)


@dataclass
class _Walk:
    """A way through a program and those that it calls, which keeps where every number comes from."""

    draws: list[Draw] = field(default_factory=list)

    def through(self, jaxpr: Any, constants: list[Hashable], inputs: list[Hashable]) -> list[Hashable]:
        known: dict[Any, Hashable] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *inputs], strict=True))

        def read(variable: Any) -> Hashable:
            return known[variable] if _is_variable(variable) else np.asarray(variable.val).tobytes()

        for equation in _alive(jaxpr):
            given = [read(variable) for variable in equation.invars]
            known |= dict(zip(equation.outvars, self._results(equation, given), strict=True))
        return list(map(read, jaxpr.outvars))

    def _results(self, equation: Any, given: list[Hashable]) -> list[Hashable]:
        name, params = equation.primitive.name, equation.params
        if name == "random_bits":
            self.draws.append(Draw(tuple(params["shape"]), given[0]))
        if inner := called(equation):
            return self.through(inner[0], list(map(origin, inner[1])), given)
        within = list(programs_in(equation))
        for program in within:
            self._repeatedly(program, params["length"] if name == "scan" else 1, params, given)
        label = id(equation) if within else repr(sorted(params.items()))
        return [hash((name, label, place, *given)) for place in range(len(equation.outvars))]

    def _repeatedly(self, program: Any, times: int, params: dict[str, Any], given: list[Hashable]) -> None:
        """Goes through a loop's program, or a branch's; what a scan holds fixed is what it was given."""
        fixed = params.get("num_consts", 0) if len(given) == len(program.invars) else 0
        for _ in range(times):
            before = len(self.draws)
            changing = [_fresh() for _ in program.invars[fixed:]]
            self.through(program, [_fresh() for _ in program.constvars], [*given[:fixed], *changing])
            if len(self.draws) == before:
                break
