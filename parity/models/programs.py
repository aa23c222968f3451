"""Equations of a traced program of JAX's, for those who compute it step by step."""

from collections.abc import Callable, Sequence
from typing import Any

from jax.extend import core

CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint")


def called(equation: Any) -> tuple[Any, Sequence[Any]] | None:
    """Returns the program that an equation calls once on its own arguments, and its constants, if it does."""
    if equation.primitive.name not in CALLS:
        return None
    inner = equation.params.get("jaxpr") or equation.params["call_jaxpr"]
    return (inner.jaxpr, inner.consts) if isinstance(inner, core.ClosedJaxpr) else (inner, ())


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
    heard: Callable[[Any, Sequence[Any], Sequence[Any]], None],
    opened: Callable[[Any], bool] = lambda equation: True,
) -> list[Any]:
    """Returns the outputs of a program; `heard` is told of each equation what it is given and what it gives.

    opened: whether a program within, which the equation calls once, is computed step by step as well
    """
    values = dict(zip(jaxpr.constvars, constants, strict=True)) | dict(zip(jaxpr.invars, inputs, strict=True))
    read = lambda variable: variable.val if isinstance(variable, core.Literal) else values[variable]  # noqa: E731
    for equation in jaxpr.eqns:
        given = [read(variable) for variable in equation.invars]
        inner = called(equation) if opened(equation) else None
        results = computed(*inner, given, heard, opened) if inner else bound(equation, given)
        heard(equation, given, results)
        values |= dict(zip(equation.outvars, results, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def length(jaxpr: Any) -> int:
    """Returns the number of equations, those of programs that are called included."""
    inner = [called(equation) for equation in jaxpr.eqns]
    return len(jaxpr.eqns) + sum(length(program[0]) for program in inner if program)
