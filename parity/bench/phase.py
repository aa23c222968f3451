"""One kind of step, of training or of evaluation, in every program: started, compared, timed in turns."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from parity.bench.agreement import Gaps, agree, loss_gaps
from parity.bench.batch import draws, has_images
from parity.bench.compiler import compiled, empty_caches
from parity.bench.jax_programs import jax_evaluation, jax_training
from parity.bench.limit import TooSlow
from parity.bench.plan import Plan
from parity.bench.precision import ULPS, Precision
from parity.bench.programs import Program, Start, Task
from parity.bench.timing import LEAST, Measurement, Stats, take_turns
from parity.bench.torch_programs import torch_evaluation, torch_training
from parity.environment import torch_device
from parity.sides.disturb import one_ulp

MODES = {"torch_compile": None, "torch_graphs": "reduce-overhead"}  # of torch.compile; the second: CUDA graphs
Tell = Callable[[str], None]


class Kind(NamedTuple):
    """A step in both frameworks: task -> program; (task, layout, compiler) -> program."""

    jax: Callable[[Task], Program]
    torch: Callable[..., Program]


TRAINING = Kind(jax_training, torch_training)
EVALUATION = Kind(jax_evaluation, torch_evaluation)


@dataclass(frozen=True)
class Timed:
    """The findings about one kind of step.

    started:    "jax", "torch_eager", "torch_compile", "torch_graphs", as far as they could be started
    missing:    why the others could not
    gaps:       of the losses that were compared with torch_eager's: relative, per program
    by_one_bit: gaps that one bit in the weights makes in PyTorch, measured where the others seem too large
    compared:   which losses these are
    layout:     the faster of `layouts`, PyTorch's memory layouts with the seconds of the fastest eager step
    measured:   None if the losses disagree
    """

    started: dict[str, Start] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    gaps: Gaps = field(default_factory=dict)
    by_one_bit: tuple[float, ...] = ()
    compared: str = ""
    layout: str = "contiguous"
    layouts: dict[str, float] = field(default_factory=dict)
    measured: Measurement | None = None
    precision: Precision = "highest"

    @property
    def status(self) -> str:
        """Returns what of "ok", "disturbed" (others used the machine) or "disagree" it is."""
        if not agree(self.gaps, self.precision, self.by_one_bit):
            return "disagree"
        return "disturbed" if self.measured and self.measured.disturbed else "ok"

    def stats(self, program: str) -> Stats | None:
        return self.measured.stats.get(program) if self.measured else None

    def ratio(self, program: str, of: str = "median") -> float | None:
        """PyTorch's time over JAX's: above 1, JAX is faster. None unless "ok" and both timed.

        Where others use the machine PyTorch's threads wait for each other, up to 50 times as long here:
        such a ratio says nothing about either program.
        """
        ours = self.stats("jax")
        theirs = self.stats(program)
        if ours is None or theirs is None or self.status != "ok":
            return None
        return getattr(theirs, of) / getattr(ours, of)


def run_phase(kind: Kind, task: Task, plan: Plan, tell: Tell, other: Gaps | None = None) -> Timed:
    """Starts, compares and times the programs; `other`: evaluation's gaps, for training that draws numbers."""
    tell("JAX compiles")
    programs = {"jax": kind.jax(task)}
    programs["torch_eager"], layout, layouts = _eager(kind, task, tell)
    more, missing = _compiled(kind, task, plan, layout, tell)
    programs |= more
    started = {name: program.start for name, program in programs.items()}
    drawn = other is not None and draws(task.model, task.batch)
    gaps, compared = _compared(started, other if drawn else None)
    by_one_bit = (
        () if drawn or agree(gaps, task.precision) else _gaps_by_one_bit(kind, task, started["torch_eager"], tell)
    )
    measured = None
    if agree(gaps, task.precision, by_one_bit):
        tell("timing")
        steps = {name: program.step for name, program in programs.items()}
        measured = take_turns(steps, repeats=plan.repeats, seconds=plan.seconds)
    return Timed(started, missing, gaps, by_one_bit, compared, layout, layouts, measured, task.precision)


def _eager(kind: Kind, task: Task, tell: Tell) -> tuple[Program, str, dict[str, float]]:
    """(program, its layout, seconds of each layout): of images, the faster of two layouts in a contest of a second."""
    contiguous = kind.torch(task)
    if not has_images(task.batch):
        return contiguous, "contiguous", {}
    tell("memory layouts")
    programs = {"contiguous": contiguous, "channels_last": kind.torch(task, "channels_last")}
    steps = {name: program.step for name, program in programs.items()}
    stats = take_turns(steps, repeats=LEAST, seconds=1.0).stats
    layouts = {name: times.minimum for name, times in stats.items()}
    layout = min(layouts, key=layouts.__getitem__)
    return programs[layout], layout, layouts


def _compiled(kind: Kind, task: Task, plan: Plan, layout: str, tell: Tell) -> tuple[dict[str, Program], dict[str, str]]:
    """The programs of torch.compile, and why others are missing; torch_graphs exists on a GPU alone."""
    names = [name for name in MODES if plan.device == "gpu" or name == "torch_compile"]
    if not plan.compile:
        return {}, dict.fromkeys(names, "not asked for")
    programs = {}
    missing = {}
    make = partial(kind.torch, task, layout)
    device = torch_device(task.device)
    with empty_caches():
        for name in names:
            tell(f"{name.replace('_', '.', 1)} compiles")
            try:
                programs[name] = compiled(make, plan.compile_limit, MODES[name], device)
            except TooSlow:
                missing[name] = f"was not ready after {plan.compile_limit:g} s"
            except Exception as error:
                missing[name] = reason(error)
    return programs, missing


def _compared(started: dict[str, Start], other: Gaps | None) -> tuple[Gaps, str]:
    losses = {name: start.losses for name, start in started.items()}
    if other is None:
        return loss_gaps(losses), "losses of the first 3 calls"
    finite = all(math.isfinite(loss) for values in losses.values() for loss in values)
    gaps = other if finite else {name: (math.nan,) for name in other}
    return gaps, "evaluation-mode losses (training draws random numbers: its losses were only found finite)"


def _gaps_by_one_bit(kind: Kind, task: Task, eager: Start, tell: Tell) -> tuple[float, ...]:
    tell("PyTorch from weights moved by one bit")
    graphdef, state = nnx.split(task.model)
    move = one_ulp(0, ULPS[task.precision])
    moved = jax.tree.map(lambda x: move(np.asarray(x)) if jnp.issubdtype(x.dtype, jnp.floating) else x, state)
    other = kind.torch(replace(task, model=nnx.merge(graphdef, moved)))
    return loss_gaps({"torch_eager": eager.losses, "moved": other.start.losses})["moved"]


def reason(error: Exception) -> str:
    """An error in one line."""
    lines: Sequence[str] = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
