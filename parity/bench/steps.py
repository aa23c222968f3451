"""How long one step takes in JAX, in PyTorch and in torch.compile, once their losses agree.

The programs run in one process and take turns in blocks (`parity.bench.timing.take_turns`): a slow minute
of the machine meets all of them. Turns of a single step would be unfair: LeNet at batch 256 took 33 ms in
JAX and 15 ms in PyTorch, and 28 and 12 ms in blocks, because threads of the one still spin while the other
works.
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
import torch

from d2l_jax.case import Case
from d2l_jax.cpu.memory import trim
from parity.bench.batch import learns_image, random_batch
from parity.bench.conditions import same_conditions
from parity.bench.cost import affordable, arithmetic, traced_training, traffic
from parity.bench.memory import peak_memory
from parity.bench.phase import EVALUATION, TRAINING, reason, run_phase
from parity.bench.plan import Plan
from parity.bench.programs import Task
from parity.bench.result import BenchResult
from parity.environment import jax_device

Progress = Callable[[str, str], None]


def bench_cases(
    cases: Sequence[Case], plan: Plan | None = None, progress: Progress = lambda name, stage: None
) -> list[BenchResult]:
    """Times a step of training and one of evaluation of every case, on a batch of random numbers.

    progress: is told (name, stage)

    A case that fails is a result with an error; the others go on. An interrupt ends it with what has been timed.
    """
    plan = plan or Plan()
    results = list[BenchResult]()
    with same_conditions(plan.precision):
        try:
            for case in cases:
                results.append(bench_case(case, plan, lambda stage, name=case.name: progress(name, stage)))
                forget_programs()
        except KeyboardInterrupt:
            if not results:
                raise
    return results


def forget_programs() -> None:
    """Lets go of a case's programs and arrays: those of all cases together are gigabytes."""
    jax.clear_caches()
    torch.compiler.reset()
    gc.collect()
    trim()


def bench_case(case: Case, plan: Plan, tell: Callable[[str], None]) -> BenchResult:
    """Times one case under `same_conditions`."""
    size = plan.batch_size or case.batch_size
    if learns_image(case):
        return _image_case(case, plan, tell)
    if not case.arrays:
        return BenchResult(
            case.name, (), 0, error="its batches are drawn; the bench times models that are given inputs"
        )
    empty = BenchResult(case.name, case.of_batch_size(size).arrays[0].shape, case.batch_size)
    try:
        tell("counting")
        size = plan.batch_size or affordable(case, plan.gflop)
        result = replace(empty, inputs=case.of_batch_size(size).arrays[0].shape)
        return _counted(_timed(result, case, size, plan, tell), case, size, plan, tell)
    except Exception as error:
        return replace(empty, error=reason(error))


def _image_case(case: Case, plan: Plan, tell: Callable[[str], None]) -> BenchResult:
    """Times a case whose image learns: of its size in the book, one to a step."""
    image = case.args["image"]
    empty = BenchResult(case.name, (1, image["height"], image["width"], 3), 1)
    if plan.batch_size not in (None, 1):
        return replace(empty, error="it learns one image; leave --batch-size out")
    try:
        return _counted(_timed(empty, case, 1, plan, tell), case, 1, plan, tell)
    except Exception as error:
        return replace(empty, error=reason(error))


def _timed(result: BenchResult, case: Case, size: int, plan: Plan, tell: Callable[[str], None]) -> BenchResult:
    model = case.build()
    task = Task(case, model, random_batch(case, size), plan.device, plan.precision)
    evaluation = run_phase(EVALUATION, task, plan, lambda stage: tell(f"evaluation: {stage}"))
    training = run_phase(TRAINING, task, plan, lambda stage: tell(f"training: {stage}"), evaluation.gaps)
    return replace(result, training=training, evaluation=evaluation)


def _counted(result: BenchResult, case: Case, size: int, plan: Plan, tell: Callable[[str], None]) -> BenchResult:
    traced = traced_training(case, size)
    result = replace(result, flops=arithmetic(traced))
    if plan.roofline and (once := result.training.started["jax"].traffic):
        with jax.default_device(jax_device(plan.device)):  # bodies of loops are compiled where the step was
            result = replace(result, traffic=traffic(traced, once))
    if plan.memory:
        tell("memory")
        result = replace(result, memory=peak_memory(case, size))
    return result
