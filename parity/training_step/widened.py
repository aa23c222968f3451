"""A traced step with every floating-point number in float64: mixed precision asks for less, and must not here.

Where a step rounds to half precision by itself, "the same mathematics?" could not be asked in float64. PyTorch's
autocast leaves float64 alone; on JAX's side the step's program is run with its roundings left out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

CALLS = (
    "jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_jvp_call", "custom_vjp_call",
    "custom_vjp_call_jaxpr",
)  # fmt: skip
SCATTERS = {  # whose rule for two numbers is traced for one precision
    "scatter": jax.lax.scatter,
    "scatter-add": jax.lax.scatter_add,
    "scatter-mul": jax.lax.scatter_mul,
    "scatter-min": jax.lax.scatter_min,
    "scatter-max": jax.lax.scatter_max,
}
NARROW = (np.dtype("float32"), np.dtype("float16"), jnp.dtype(jnp.bfloat16))


def widened(program: ClosedJaxpr) -> Callable[..., list[jax.Array]]:
    """Returns the program as a function that computes in float64 throughout."""
    return lambda *args: evaluated(program.jaxpr, program.consts, args)


def evaluated(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """Returns the program's results, all computed in float64."""
    values: dict[Any, Any] = {}

    def read(variable: Any) -> Any:
        return _wide(_exact(variable.val) if isinstance(variable, Literal) else values[variable])

    values.update(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, args, strict=True))
    for equation in jaxpr.eqns:
        results = _applied(equation, [read(variable) for variable in equation.invars])
        values.update(zip(equation.outvars, results, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _exact(value: Any) -> Any:
    """Returns the number that was written, 0.1, for the one that float32 makes of it."""
    return np.float64(str(np.float32(value))) if getattr(value, "dtype", None) in NARROW else value


def _wide(value: Any) -> Any:
    dtype = getattr(value, "dtype", None)
    return jnp.asarray(value, jnp.float64) if dtype in NARROW else value


def _applied(equation: Any, args: list[Any]) -> Sequence[Any]:
    name = equation.primitive.name
    params = equation.params
    if name == "convert_element_type":
        return [jax.lax.convert_element_type(args[0], _wider(params["new_dtype"]))]
    if name == "reduce_precision":
        return args
    if name == "bitcast_convert_type":
        return [jax.lax.bitcast_convert_type(args[0], params["new_dtype"])]
    if name in CONTROL:
        return CONTROL[name](params, args)
    if name in CALLS:
        return evaluated(
            *_parts(next(params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in params)), args
        )
    if name in SCATTERS:
        known = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
        return [SCATTERS[name](*args, **{key: params[key] for key in known})]
    wide = {key: _wider(value) for key, value in params.items()}
    results = equation.primitive.bind(*args, **wide)
    return results if equation.primitive.multiple_results else [results]


def _parts(inner: Any) -> tuple[Jaxpr, Sequence[Any]]:
    return (inner.jaxpr, inner.consts) if isinstance(inner, ClosedJaxpr) else (inner, ())


def _wider(value: Any) -> Any:
    try:
        return np.dtype("float64") if np.dtype(value) in NARROW and not isinstance(value, str | None) else value
    except TypeError:
        return value


def _scan(params: dict[str, Any], args: list[Any]) -> Sequence[Any]:
    consts = args[: params["num_consts"]]
    end = params["num_consts"] + params["num_carry"]

    def body(carry: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
        results = evaluated(*_parts(params["jaxpr"]), [*consts, *carry, *x])
        return results[: params["num_carry"]], results[params["num_carry"] :]

    start = args[params["num_consts"] : end]
    carry, ys = jax.lax.scan(body, start, args[end:], params["length"], params["reverse"])
    return [*carry, *ys]


def _while(params: dict[str, Any], args: list[Any]) -> Sequence[Any]:
    first = params["cond_nconsts"]
    second = first + params["body_nconsts"]
    return jax.lax.while_loop(
        lambda carry: evaluated(*_parts(params["cond_jaxpr"]), [*args[:first], *carry])[0],
        lambda carry: evaluated(*_parts(params["body_jaxpr"]), [*args[first:second], *carry]),
        args[second:],
    )


def _cond(params: dict[str, Any], args: list[Any]) -> Sequence[Any]:
    branches = [lambda *operands, b=branch: evaluated(*_parts(b), operands) for branch in params["branches"]]
    return jax.lax.switch(args[0], branches, *args[1:])


CONTROL = {"scan": _scan, "while": _while, "cond": _cond}
