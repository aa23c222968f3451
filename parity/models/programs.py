"""Equations of a traced program of JAX's, for those who compute it step by step."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

Heard = Callable[[Any, Sequence[Any], Sequence[Any]], Sequence[Any] | None]
CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint")


def called(equation: Any) -> tuple[Any, Sequence[Any]] | None:
    """Returns the program that an equation calls once on its own arguments, and its constants, if it does."""
    if equation.primitive.name not in CALLS:
        return None
    inner = equation.params.get("jaxpr") or equation.params["call_jaxpr"]
    return (inner.jaxpr, inner.consts) if isinstance(inner, core.ClosedJaxpr) else (inner, ())


def needed(jaxpr: Any, results: Sequence[bool]) -> list[bool]:
    """Returns for each input of a program whether one of those results depends on it, so far as its equations tell."""
    wanted = {x for x, asked in zip(jaxpr.outvars, results, strict=True) if asked and not isinstance(x, core.Literal)}
    for equation in reversed(jaxpr.eqns):
        asked = [x in wanted for x in equation.outvars]
        if any(asked):
            inner = called(equation)
            inputs = needed(inner[0], asked) if inner else [True] * len(equation.invars)
            pairs = zip(equation.invars, inputs, strict=True)
            wanted |= {x for x, needs in pairs if needs and not isinstance(x, core.Literal)}
    return [x in wanted for x in jaxpr.invars]


def programs_in(equation: Any) -> Iterator[Any]:
    """Yields every program that an equation holds, however often it calls it: of a branch, a loop, a slope."""
    for value in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")):
        inner = getattr(value, "jaxpr", value)
        if hasattr(inner, "eqns"):
            yield inner


def bound(equation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    """Returns what JAX makes of the equation."""
    binding = equation.primitive.get_bind_params(equation.params)
    functions, params = binding if isinstance(binding, tuple) else ((), binding)
    outputs = equation.primitive.bind(*functions, *inputs, **params)
    return outputs if equation.primitive.multiple_results else [outputs]


def computed(
    jaxpr: Any,
    constants: Sequence[Any],
    inputs: Sequence[Any],
    heard: Heard,
    opened: Callable[[Any], bool] = lambda equation: True,
) -> list[Any]:
    """Returns the outputs of a program; `heard` is told of each equation what it is given and what it gives.

    It may return other results, with which the program goes on.
    opened: whether a program within, which the equation calls once, is computed step by step as well; a scan, too
    """
    values = dict(zip(jaxpr.constvars, constants, strict=True)) | dict(zip(jaxpr.invars, inputs, strict=True))
    read = lambda variable: variable.val if isinstance(variable, core.Literal) else values[variable]  # noqa: E731
    for equation in jaxpr.eqns:
        given = [read(variable) for variable in equation.invars]
        inner = called(equation) if opened(equation) else None
        if inner:
            results = computed(*inner, given, heard, opened)
        elif equation.primitive.name == "scan" and equation.params["length"] and opened(equation):
            results = _scanned(equation.params, given, heard, opened)
        else:
            results = bound(equation, given)
        results = heard(equation, given, results) or results
        values |= dict(zip(equation.outvars, results, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _scanned(
    params: dict[str, Any],
    given: Sequence[Any],
    heard: Heard,
    opened: Callable[[Any], bool],
) -> list[Any]:
    """Returns what a scan gives, its steps computed one after the other."""
    body = params["jaxpr"]
    first, last = params["num_consts"], params["num_consts"] + params["num_carry"]
    fixed, carry, rows = given[:first], list(given[first:last]), given[last:]
    count = params["num_carry"]
    stacked = dict[int, Sequence[Any]]()
    for number in range(params["length"])[:: -1 if params["reverse"] else 1]:
        results = computed(body.jaxpr, body.consts, [*fixed, *carry, *(row[number] for row in rows)], heard, opened)
        carry, stacked[number] = results[:count], results[count:]
    return [*carry, *(jnp.stack(each) for each in zip(*(stacked[number] for number in sorted(stacked))))]


def length(jaxpr: Any, opened: Callable[[Any], bool] = lambda equation: True) -> int:
    """Returns the number of equations that are computed, those of what is opened included."""
    return sum(1 + _within(equation, opened) for equation in jaxpr.eqns)


def _within(equation: Any, opened: Callable[[Any], bool]) -> int:
    if inner := called(equation):
        return length(inner[0], opened)
    if equation.primitive.name == "scan" and opened(equation):
        return equation.params["length"] * length(equation.params["jaxpr"].jaxpr, opened)
    return 0
