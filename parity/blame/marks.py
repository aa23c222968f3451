"""Marks by which numbers are known again in the other framework, whatever their order, shape and repetition."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from parity.layers.calls import functions_of
from parity.models.programs import computed, length
from parity.sides.constants import torch_constants
from parity.sides.flax import FlaxRun, imposed, named_tensors, precision
from parity.sides.quick import quickly
from parity.twin.twin import State, Twin

NEAR = 1e-9
NEAR_CONSTANTS = 1e-6  # where a model holds tables in float32, which a few digits of it have moved
MOST_EQUATIONS = 5000  # of a program that is computed step by step
Tell = Callable[[Any, Sequence[Any], Sequence[Any]], Iterable[Any]]


class Marks:
    """What Flax has computed anywhere in a run."""

    def __init__(self, rows: np.ndarray, near: float = NEAR):
        self.rows = rows
        self.near = near

    def known(self, tensor: torch.Tensor) -> bool:
        """Tells whether Flax has these numbers somewhere, in any order."""
        if not tensor.numel():
            return True
        x = tensor.detach().cpu()
        row = mark(x.numpy(), np)
        limits = self.near * np.array([row[0], 1.0, 1.0, 1.0, 1.0, 1.0])
        return bool((np.abs(self.rows - row) <= limits).all(1).any())


def mark(x: Any, numpy: Any) -> Any:
    """Returns the largest magnitude, and relative to it both ends and the means of the first three powers."""
    if numpy.iscomplexobj(x):
        x = numpy.stack([x.real, x.imag])
    x = numpy.nan_to_num(x.astype(numpy.float64), nan=0.0, posinf=0.0, neginf=0.0)
    size = numpy.max(numpy.abs(x))
    x = x / numpy.where(size == 0, 1.0, size)
    powers = (numpy.mean(x), numpy.mean(x**2), numpy.mean(x**3))
    return numpy.stack([size, numpy.min(x), numpy.max(x), *powers])


def flax_marks(twin: Twin, state: State, train: bool) -> Marks | None:
    """Returns the marks of all results in Flax's forward program and of what it is given; None of a long one."""
    rows = flax_told(twin, state, train, lambda _, __, results: marked(results))
    held = torch_constants(twin.torch.model, twin.leaves)
    return Marks(np.stack(rows), NEAR_CONSTANTS if held else NEAR) if rows else None


def marked(results: Iterable[Any]) -> list[Any]:
    """Returns the marks of JAX's arrays, but for those that hold no numbers."""
    return [mark(jnp.asarray(x), jnp) for x in numeric(results)]


def numeric(results: Iterable[Any]) -> list[Any]:
    """Returns those of JAX's arrays that hold numbers."""
    return list(filter(_numeric, results))


def flax_told(
    twin: Twin, state: State, train: bool, tell: Tell, opened: Callable[[Any], bool] = lambda equation: True
) -> list[np.ndarray]:
    """Returns what `tell(equation, what it is given, what it gives)` makes of all equations in Flax's forward program.

    Of the program's own inputs, too, for which there is no equation. Nothing where there are too many.
    """
    run = FlaxRun(twin, "float64", jax.devices("cpu")[0])
    forward = forward_of(twin, run, train)

    def told(*args: Any) -> list[Any]:
        program = jax.make_jaxpr(forward)(*args)
        inputs = jax.tree.leaves(args)
        found = [*tell(None, (), [*program.consts, *inputs])]
        if length(program.jaxpr, opened) <= MOST_EQUATIONS:
            heard = lambda *equation: found.extend(tell(*equation))  # noqa: E731
            computed(program.jaxpr, program.consts, inputs, heard, opened)
            return found
        return []

    with precision(run.device, dtype="float64"):
        return [np.asarray(x) for x in quickly(told, run.device)(*run.load(state), run.tensors(twin.batches[0]))]


def forward_of(twin: Twin, run: FlaxRun, train: bool) -> Callable[[Any, Any, dict], list[Any]]:
    """Returns what Flax computes in a mode from (parameters, buffers, tensors), its gradients left out."""

    def forward(params: Any, buffers: Any, tensors: dict) -> list[Any]:
        with imposed(tensors, train):
            named = named_tensors(tensors)
            return [run.flax.run(each, params, buffers, named, train=train) for each in functions_of(twin.flax, train)]

    return forward


def _numeric(x: Any) -> bool:
    dtype = getattr(x, "dtype", None)
    kinds = (jnp.number, jnp.bool_)
    return dtype is not None and any(jnp.issubdtype(dtype, kind) for kind in kinds) and np.size(x) > 0
