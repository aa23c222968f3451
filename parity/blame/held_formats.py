"""Formats that Flax's float64 program holds: what it does not hold, no error of it can be the rounding of."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from d2l_jax.train import TrainState
from parity.blame.marks import forward_of
from parity.models.programs import programs_in
from parity.sides.constants import torch_constants
from parity.sides.flax import FlaxRun, precision
from parity.twin.twin import State, Twin

FORMATS = ("bfloat16", "float16", "float32")
ROUNDED = {7: "bfloat16", 10: "float16", 23: "float32"}  # by the bits of a fraction
BITS = "bitcast_convert_type"
ANY = (BITS, "pure_callback", "io_callback")  # who knows what becomes of the bits


def held_formats(twin: Twin, state: State) -> frozenset[str]:
    """Returns those of bfloat16, float16 and float32 in which Flax's step of training may have computed something.

    float32 is one of them where a model of either side holds constants, which may be of that precision.
    """
    run = FlaxRun(twin, "float64", jax.devices("cpu")[0])

    def first_step(params: Any, buffers: Any, tensors: dict) -> TrainState:
        return run.stepped(TrainState.start(params, buffers, turns=run.turns), tensors)

    traced = first_step if run.turns else forward_of(twin, run, train=True)
    with precision(run.device, dtype="float64"):
        program = jax.make_jaxpr(traced)(*run.load(state), run.tensors(twin.batches[0])).jaxpr
    found = set(_formats(program))
    if run.constants or torch_constants(twin.torch.model, twin.leaves):
        found.add("float32")
    return frozenset(found.intersection(FORMATS))


def _formats(program: Any) -> Iterator[str]:
    """Yields the formats of all values of a program and of those within it, and what it rounds to by other means."""
    yield from _dtypes(program.constvars)
    for equation in program.eqns:
        yield from _dtypes((*equation.invars, *equation.outvars))
        if equation.primitive.name == "reduce_precision":
            yield ROUNDED.get(equation.params["mantissa_bits"], "")
        elif equation.primitive.name == BITS and (kept := _kept(program, equation)):
            yield ROUNDED.get(kept, "")
        elif equation.primitive.name in ANY:
            yield from FORMATS
        for inner in programs_in(equation):
            yield from _formats(inner)


def _kept(program: Any, equation: Any) -> int:
    """Returns how many bits of a fraction a mask leaves, as JAX's own functions split numbers; 0 where it is none."""
    (given,), (made,) = equation.invars, equation.outvars
    users = [each for each in program.eqns if made in _named(each)]
    near = [each for each in program.eqns if given in each.outvars] if given.aval.dtype.kind == "u" else users
    words = {int(x.val) for each in near for x in each.invars if isinstance(x, Literal) and not np.shape(x.val)}
    floats = [x.aval.dtype for x in (given, made) if jnp.issubdtype(x.aval.dtype, jnp.floating)]
    if len(words) != 1 or len(floats) != 1 or any(each.primitive.name != "and" for each in near):
        return 0
    (word,) = words
    return jnp.finfo(floats[0]).nmant - (word & -word).bit_length() + 1


def _named(equation: Any) -> list[Any]:
    """Returns what an equation is given, without numbers."""
    return [x for x in equation.invars if not isinstance(x, Literal)]


def _dtypes(variables: Sequence[Any]) -> Iterator[str]:
    return (str(variable.aval.dtype) for variable in variables if hasattr(variable.aval, "dtype"))
