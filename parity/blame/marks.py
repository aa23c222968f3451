"""Marks by which numbers are known again in the other framework, whatever their order, shape and repetition."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.extend import core

from parity.layers.calls import functions_of
from parity.models.programs import bound, called
from parity.sides.flax import FlaxRun, imposed, named_tensors, precision
from parity.sides.quick import quickly
from parity.twin.twin import State, Twin

NEAR = 1e-9
MOST_EQUATIONS = 5000  # of a program whose results are all marked


class Marks:
    """What Flax has computed anywhere in a run."""

    def __init__(self, rows: np.ndarray):
        self.rows = rows

    def known(self, tensor: torch.Tensor) -> bool:
        """Tells whether Flax has these numbers somewhere, in any order."""
        if not tensor.numel():
            return True
        x = tensor.detach().cpu()
        mark = _mark(x.numpy(), np)
        limits = NEAR * np.array([mark[0], 1.0, 1.0, 1.0, 1.0, 1.0])
        return bool((np.abs(self.rows - mark) <= limits).all(1).any())


def _mark(x: Any, numpy: Any) -> Any:
    """Returns the largest magnitude, and relative to it both ends and the means of the first three powers."""
    if numpy.iscomplexobj(x):
        x = numpy.stack([x.real, x.imag])
    x = numpy.nan_to_num(x.astype(numpy.float64), nan=0.0, posinf=0.0, neginf=0.0)
    size = numpy.max(numpy.abs(x))
    x = x / numpy.where(size == 0, 1.0, size)
    powers = (numpy.mean(x), numpy.mean(x**2), numpy.mean(x**3))
    return numpy.stack([size, numpy.min(x), numpy.max(x), *powers])


def flax_marks(twin: Twin, state: State, train: bool) -> Marks | None:
    """Returns the marks of all results in Flax's forward program; None where it is too long."""
    run = FlaxRun(twin, "float64", jax.devices("cpu")[0])

    def computed(params: Any, buffers: Any, tensors: dict) -> list[Any]:
        with imposed(tensors, train):
            functions = functions_of(twin.flax, train)
            return [
                run.flax.run(function, params, buffers, named_tensors(tensors), train=train) for function in functions
            ]

    def marked(*args: Any) -> jax.Array:
        program = jax.make_jaxpr(computed)(*args)
        return jnp.stack([_mark(x, jnp) for x in _results(program.jaxpr, program.consts, jax.tree.leaves(args))])

    with precision(run.device, dtype="float64"):
        args = (*run.load(state), run.tensors(twin.batches[0]))
        if _length(jax.make_jaxpr(computed)(*args).jaxpr) > MOST_EQUATIONS:
            return None
        return Marks(np.asarray(quickly(marked, run.device)(*args)))


def _results(jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Computes a program, and returns all numbers in it, those that it is given included."""
    found = list(filter(_numeric, (*constants, *inputs)))
    _outputs(jaxpr, constants, inputs, found)
    return found


def _outputs(jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Any], found: list[Any]) -> list[Any]:
    values = dict(zip(jaxpr.constvars, constants, strict=True)) | dict(zip(jaxpr.invars, inputs, strict=True))
    read = lambda variable: variable.val if isinstance(variable, core.Literal) else values[variable]  # noqa: E731
    for equation in jaxpr.eqns:
        given = [read(variable) for variable in equation.invars]
        inner = called(equation)
        results = _outputs(*inner, given, found) if inner else bound(equation, given)
        found += filter(_numeric, results)
        values |= dict(zip(equation.outvars, results, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _numeric(x: Any) -> bool:
    dtype = getattr(x, "dtype", None)
    return (
        dtype is not None and (jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)) and np.size(x) > 0
    )


def _length(jaxpr: Any) -> int:
    inner = [called(equation) for equation in jaxpr.eqns]
    return len(jaxpr.eqns) + sum(_length(program[0]) for program in inner if program)
