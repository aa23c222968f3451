"""Equations of a traced program of JAX's, for those who compute it step by step."""

from collections.abc import Sequence
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
