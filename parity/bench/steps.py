"""How long one training step takes in JAX, in PyTorch and in torch.compile, once their losses agree.

The three programs run in one process and take turns in blocks (`parity.bench.timing.take_turns`): a slow minute
of the machine meets all of them. Turns of a single step would be unfair: LeNet at batch 256 took 33 ms in
JAX and 15 ms in PyTorch, and 28 and 12 ms in blocks of five, because threads of the one still spin while
the other works.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flax import nnx

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from parity.bench.programs import (
    Batch,
    Program,
    compiled_program,
    cpu_threads,
    draws,
    evaluation_losses,
    jax_program,
    random_batch,
    same_conditions,
    torch_program,
)
from parity.bench.timing import LEAST, Measurement, Stats, TooSlow, take_turns
from parity.environment import jax_device, torch_device

# Of the losses of steps 1, 2 and 3, see `loss_gaps`: float32 rounding, then what updates make of it.
TOLERANCE = (1e-5, 1e-3, 1e-3)
METHOD = "one process; rounds in which each program has a block of its own after untimed lead-in calls"
Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class BenchResult:
    """What the benchmark of one case found.

    programs: "jax", "torch_eager", "torch_compile", as far as they could be started
    missing:  why the others could not
    gaps:     of the losses that were compared with torch_eager's: relative, per program
    compared: which losses these are
    measured: None if the losses disagree
    """

    name: str
    inputs: tuple[int, ...]
    programs: dict[str, Program] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    gaps: dict[str, tuple[float, ...]] = field(default_factory=dict)
    compared: str = ""
    measured: Measurement | None = None
    error: str = ""

    @property
    def status(self) -> str:
        """What of "ok", "disturbed" (others used the machine), "disagree" or "error" it is."""
        if self.error:
            return "error"
        if not agree(self.gaps):
            return "disagree"
        return "disturbed" if self.measured and self.measured.disturbed else "ok"

    def stats(self, program: str) -> Stats | None:
        return self.measured.stats.get(program) if self.measured else None

    def ratio(self, program: str, of: str = "median") -> float | None:
        """PyTorch's time over JAX's: above 1, JAX is faster. None unless "ok" and both timed.

        Where others use the machine PyTorch's threads wait for each other, up to 50 times as long here:
        such a ratio says nothing about either program.
        """
        ours, theirs = self.stats("jax"), self.stats(program)
        if ours is None or theirs is None or self.status != "ok":
            return None
        return getattr(theirs, of) / getattr(ours, of)

    @property
    def ratio_eager(self) -> float | None:
        return self.ratio("torch_eager")

    @property
    def ratio_compile(self) -> float | None:
        return self.ratio("torch_compile")


def bench_cases(
    cases: Sequence[Case],
    *,
    batch_size: int | None = None,
    repeats: int = 30,
    seconds: float = 60.0,
    compile: bool = True,
    compile_limit: float = 300.0,
    device: str = "cpu",
    progress: Progress = lambda name, stage: None,
) -> list[BenchResult]:
    """Times one training step of every case, with the book's sizes, on a batch of random numbers.

    batch_size: instead of the book's, on both sides
    repeats:    timed steps of each program at least; fewer, never under 5, once `seconds` have gone
    compile:    torch.compile too, given up after `compile_limit` seconds
    progress:   is told (name, stage)

    A case that fails is a result with an error; the others go on. Raises InputError for a wrong argument.
    """
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch size {batch_size} is too small; 1 or more is right")
    if repeats < LEAST:
        raise InputError(f"{repeats} repeats give no spread; {LEAST} or more are right")
    jax_device(device)
    torch_device(device)
    limit = compile_limit if compile else None

    def bench(case: Case) -> BenchResult:
        shape = (batch_size or case.batch_size, *case.arrays[0].shape[1:])
        try:
            result = _started(case, shape, limit, device, progress)
            return _timed(result, repeats, seconds, progress)
        except Exception as error:
            return BenchResult(case.name, shape, error=_reason(error))

    with same_conditions():
        return [bench(case) for case in cases]


def _started(case: Case, shape: tuple[int, ...], limit: float | None, device: str, progress: Progress) -> BenchResult:
    """Three steps of each program, and what their losses say."""
    model = case.build()
    batch = random_batch(case, model, shape[0])
    progress(case.name, "JAX compiles")
    programs, missing = {"jax": jax_program(case, model, batch, device)}, {}
    programs["torch_eager"] = torch_program(case, model, batch, device)
    if limit is None:
        missing["torch_compile"] = "not asked for"
    else:
        progress(case.name, "torch.compile compiles")
        try:
            programs["torch_compile"] = compiled_program(case, model, batch, device, limit)
        except TooSlow:
            missing["torch_compile"] = f"was not ready after {limit:g} s"
        except Exception as error:
            missing["torch_compile"] = _reason(error)
    gaps, compared = _gaps(case, model, batch, programs)
    return BenchResult(case.name, shape, programs, missing, gaps, compared)


def _timed(result: BenchResult, repeats: int, seconds: float, progress: Progress) -> BenchResult:
    if not agree(result.gaps):
        return result
    progress(result.name, "timing")
    steps = {name: program.step for name, program in result.programs.items()}
    return replace(result, measured=take_turns(steps, repeats=repeats, seconds=seconds))


def _gaps(case: Case, model: nnx.Module, batch: Batch, programs: dict[str, Program]) -> tuple[dict, str]:
    losses = {name: program.losses for name, program in programs.items()}
    if not draws(model, batch):
        return loss_gaps(losses), "losses of the first 3 training steps"
    finite = all(math.isfinite(loss) for values in losses.values() for loss in values)
    ours, theirs = evaluation_losses(case, model, batch)
    gaps = loss_gaps({"jax": (ours if finite else math.nan,), "torch_eager": (theirs,)})
    return gaps, "evaluation-mode loss (training draws random numbers: its losses were only found finite)"


def loss_gaps(losses: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    """Distances from torch_eager's losses, relative to the largest of these; NaN where one is not finite.

    Not to each: after a step that takes ResNet-18 from 3.0 to 0.14, moving every weight by one bit
    changes what is left by 1 % of itself.
    """
    oracle = losses["torch_eager"]
    scale = max(1e-30, *map(abs, oracle))
    others = {name: own for name, own in losses.items() if name != "torch_eager"}
    return {name: tuple(_gap(*pair, scale) for pair in zip(own, oracle)) for name, own in others.items()}


def _gap(loss: float, oracle: float, scale: float) -> float:
    gap = abs(loss - oracle)
    return gap / scale if math.isfinite(gap) else math.nan


def agree(gaps: dict[str, tuple[float, ...]]) -> bool:
    """Whether something was compared and every gap is within `TOLERANCE`; NaN is not."""
    return bool(gaps) and all(gap <= limit for own in gaps.values() for gap, limit in zip(own, TOLERANCE))


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def to_json(results: Sequence[BenchResult], environment: dict[str, Any]) -> dict[str, Any]:
    """The document of `parity bench --json`; times in seconds, null with a reason where there is none."""
    threads = cpu_threads()
    conditions = {"dtype": "float32", "method": METHOD, "loss_tolerance": list(TOLERANCE)}
    return {
        "environment": environment | {"jax_threads": threads, "torch_threads": threads} | conditions,
        "cases": [_case_json(result) for result in results],
    }


def _case_json(result: BenchResult) -> dict[str, Any]:
    measured = result.measured
    gaps = {name: _finite(gaps) for name, gaps in result.gaps.items()}
    return {
        "name": result.name,
        "batch": result.inputs[0],
        "inputs": list(result.inputs),
        "status": result.status,
        **({"error": result.error} if result.error else {}),
        **{program: _program_json(result, program) for program in ("jax", "torch_eager", "torch_compile")},
        "ratio_eager": result.ratio_eager,
        "ratio_compile": result.ratio_compile,
        "ratio_eager_of_minima": result.ratio("torch_eager", "minimum"),
        "ratio_compile_of_minima": result.ratio("torch_compile", "minimum"),
        "agreement": {"compared": result.compared, "relative_gaps": gaps},
        "cpus_used_by_others": measured and measured.others,
        "rounds": measured and measured.rounds,
        "rounds_left_out": measured and measured.left_out,
    }


def _program_json(result: BenchResult, name: str) -> dict[str, Any]:
    program, stats = result.programs.get(name), result.stats(name)
    if program is None:
        return {"compile_s": None, "step_s": None, "reason": result.missing.get(name, result.error)}
    return {
        **({} if name == "torch_eager" else {"compile_s": program.compile_s}),
        "step_s": stats and stats.median,
        "min_s": stats and stats.minimum,
        "iqr_s": stats and stats.iqr,
        "repeats": stats and stats.number,
        "first_calls_s": list(program.first_calls_s),
        "losses": _finite(program.losses),
    }


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
