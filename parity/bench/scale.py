"""How the time and the memory of a training step grow with the model's size."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from parity.bench.axes import AXES, Grown
from parity.bench.batch import draws, random_batch
from parity.bench.conditions import same_conditions
from parity.bench.cost import arithmetic, traced_training
from parity.bench.phase import EVALUATION, TRAINING, Timed, reason, run_phase
from parity.bench.plan import Plan
from parity.bench.programs import Task

FACTORS = (1, 2, 4, 8)
PROGRAMS = {"jax": "JAX", "torch_eager": "PyTorch"}
Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class Growth:
    """The growth of a model along an axis.

    values: how large it was
    phases: what was found at each
    memory: bytes of JAX's arguments and temporaries at each, None where XLA does not tell
    error:  why there is nothing else
    """

    name: str
    axis: str
    values: tuple[int, ...] = ()
    phases: tuple[Timed, ...] = ()
    memory: tuple[int | None, ...] = ()
    error: str = ""

    @property
    def status(self) -> str:
        """Returns what of "ok", "disturbed", "disagree" or "error" it is: the worst of its sizes."""
        statuses = {phase.status for phase in self.phases}
        return "error" if self.error else next((s for s in ("disagree", "disturbed") if s in statuses), "ok")

    def seconds(self, program: str) -> list[float | None]:
        """The median of each size."""
        return [stats.median if (stats := phase.stats(program)) else None for phase in self.phases]

    def slope(self, program: str) -> float | None:
        """The exponent with which a step's time grows; None unless "ok"."""
        return exponent(self.values, self.seconds(program)) if self.status == "ok" else None

    @property
    def memory_slope(self) -> float | None:
        return exponent(self.values, self.memory)


def exponent(sizes: Sequence[int], figures: Sequence[float | None]) -> float | None:
    """The slope of the least-squares line through the logarithms; None without two sizes, or where one is not known."""
    known = [figure for figure in figures if figure]
    if len(known) < len(figures) or len(known) < 2:
        return None
    return float(np.polyfit(np.log(sizes), np.log(known), 1)[0])


def scale(
    cases: Sequence[Case], plan: Plan | None = None, progress: Progress = lambda name, stage: None
) -> list[Growth]:
    """Every case along every axis that it has: a training step at 1, 2, 4 and 8 times the size, in JAX and PyTorch.

    It starts from the plan's batch, or a quarter of the book's; sizes beyond `plan.gflop` are left out.
    """
    plan = replace(plan or Plan(), compile=False)
    for case in cases:
        if not case.arrays:
            raise InputError(f"{case.name} has no inputs that could grow; a case that is given inputs is right")
    with same_conditions(plan.precision):
        return [_growth(case, axis, plan, progress) for case in cases for axis in AXES if AXES[axis](case, 1)]


def _growth(case: Case, axis: str, plan: Plan, progress: Progress) -> Growth:
    base = case.of_batch_size(plan.batch_size or math.ceil(case.batch_size / 4))
    try:
        chosen = _within(base, axis, plan.gflop)
        phases = [_measured(grown, plan, lambda stage: progress(case.name, f"{axis}: {stage}")) for grown in chosen]
    except Exception as error:
        return Growth(case.name, axis, error=reason(error))
    memory = tuple(phase.started["jax"].footprint for phase in phases)
    return Growth(case.name, axis, tuple(grown.value for grown in chosen), tuple(phases), memory)


def _within(case: Case, axis: str, gflop: float) -> list[Grown]:
    """Returns the sizes within the budget, the smallest always."""
    grown = [enlarged for factor in FACTORS if (enlarged := AXES[axis](case, factor))]
    few = [g for g in grown[1:] if arithmetic(traced_training(g.case, g.case.batch_size)) <= gflop * 1e9]
    return [grown[0], *few]


def _measured(grown: Grown, plan: Plan, tell: Callable[[str], None]) -> Timed:
    case = grown.case
    model = grown.case.build()
    task = Task(case, model, random_batch(case, case.batch_size), plan.device, plan.precision)
    gaps = run_phase(EVALUATION, task, plan, tell).gaps if draws(model, task.batch) else None
    return run_phase(TRAINING, task, plan, tell, gaps)
