"""Numbers of float32 that JAX's step holds in its closure: constants of its traced program."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from parity.models.programs import computed
from parity.sides.constants import Shift
from parity.training_step.jax_state import Leaves
from parity.training_step.pair import StepPair, in_tier
from parity.training_step.widened import evaluated


@dataclass(frozen=True)
class Closure:
    """JAX's step of one batch, as a program of float64 that is given its constants.

    constants: all of them, in the program's order
    run:       (constants, leaves) -> what the step gives
    """

    constants: list[Any]
    run: Callable[[list[Any], Leaves], tuple[Leaves, Any]]

    @property
    def rounded(self) -> dict[int, np.ndarray]:
        """Returns those that were rounded to float32 before the step, by their places."""
        single = ((place, x) for place, x in enumerate(self.constants) if getattr(x, "dtype", None) == np.float32)
        return {place: np.asarray(x) for place, x in single}

    def taken(self, leaves: Leaves, places: list[int], shift: Shift) -> tuple[Leaves, Any]:
        """Takes the step from the leaves, the constants at those places shifted."""
        constants = [shift(np.asarray(x)) if place in places else x for place, x in enumerate(self.constants)]
        return self.run(constants, leaves)


def closure_of(pair: StepPair, number: int, leaves: Leaves) -> Closure | None:
    """Returns the step of that number as a program; None of one that cannot be traced, or holds no constants."""
    batch = pair.batches[number - 1]
    with in_tier("float64"), pair.within(number, "float64"):
        try:
            program, form, args = pair.jax.traced(leaves, batch, "float64")
        except Exception:  # it looks at its numbers
            return None
        plain: Any = jax.make_jaxpr(lambda *args: _computed(program.jaxpr, program.consts, args))(*args)
    if not plain.consts:
        return None
    evaluate = evaluated if pair.narrow else _computed
    compiled = jax.jit(lambda constants, args: evaluate(plain.jaxpr, constants, args))

    def run(constants: list[Any], leaves: Leaves) -> tuple[Leaves, Any]:
        results = compiled(constants, pair.jax.arguments(leaves, batch, "float64"))
        after, returned = jax.tree.unflatten(jax.tree.structure(form), results)
        return dict(zip(leaves, after, strict=True)), returned

    return Closure([x if isinstance(x, jax.Array) else np.asarray(x) for x in plain.consts], run)


def _computed(jaxpr: Any, constants: Any, args: Any) -> list[Any]:
    """Returns the program's results; of programs that it calls once, the constants become its own."""
    return computed(jaxpr, constants, args, lambda *_: None, lambda equation: equation.primitive.name != "scan")
