"""The proof: a twin is run on both sides in float64, then in float32, and every tensor is compared."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import jax
import numpy as np

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from parity.blame.place import blame
from parity.blame.precision import blame_precision
from parity.compare.rows import (
    POLICY,
    Policy,
    Row,
    compare_classes,
    compare_precision,
    compare_semantics,
    errors_of,
    largest_of,
    noise_of,
)
from parity.environment import jax_device, pinned, torch_device
from parity.layers.isolate import Isolated, isolate
from parity.proof.free_run import free_run
from parity.report.repro import evidence_of
from parity.result import Result
from parity.sides.disturb import one_ulp
from parity.sides.flax import FlaxRun
from parity.sides.torch import Record, TorchRun, phase, rounded
from parity.twin.pairing import longest_sum, twin_of
from parity.twin.twin import STEPS, State, Twin

PROBES, MOST_PROBES = 4, 20
TIERS = ("float64", "float32")


def check_cases(
    cases: Sequence[Case],
    *,
    device: str = "cpu",
    tf32: bool = False,
    full: bool = False,
    jobs: int = 1,
    steps: int = STEPS,
    tiers: tuple[str, ...] = TIERS,
    layers: bool = True,
) -> Iterator[Result]:
    """The results in the order of `cases`, each as soon as it is there; `jobs` processes work side by side.

    Compiling takes most of the time and keeps one core busy, so that two processes on two cores halve it.
    """
    if jobs < 1:
        raise InputError(f"--jobs {jobs} is too few; 1 or more is right")
    if steps < 1:
        raise InputError(f"--steps {steps} is too few; 1 or more is right")
    run = partial(check_case, device=device, tf32=tf32, full=full, steps=steps, tiers=tiers, layers=layers)
    if jobs == 1 or len(cases) == 1:
        yield from map(run, cases)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(run, case) for case in cases]
        for case, future in zip(cases, waiting, strict=True):
            try:
                yield future.result()
            except BrokenProcessPool:  # for want of memory, as a rule
                yield Result(case.name, case.section, 0, error="a worker was killed; fewer --jobs need less memory")


def check_case(
    case: Case,
    *,
    device: str = "cpu",
    tf32: bool = False,
    full: bool = False,
    policy: Policy = POLICY,
    steps: int = STEPS,
    tiers: tuple[str, ...] = TIERS,
    layers: bool = True,
) -> Result:
    """Checks one case of the catalogue; `full`: with the book's sizes, a batch of 3 and one step.

    Models that cannot correspond or cannot run are the result's `error`, not an exception.
    """
    start = time.perf_counter()
    options: dict[str, Any] = {"device": device, "tf32": tf32, "policy": policy, "tiers": tiers}
    try:
        twin = twin_of(case, full=full, steps=1 if full else steps)
        found = check_twin(
            twin, section=case.section, probes=1 if full else PROBES, layers=layers and not full, **options
        )
    except InputError as error:
        found = Result(case.name, case.section, 0, error=str(error))
    except Exception as error:  # a model that cannot run is one case's result, not the end of all
        found = Result(case.name, case.section, 0, error=f"{type(error).__name__}: {error}")
    finally:
        jax.clear_caches()  # a case's programs are gigabytes, and no other case needs them
    return replace(found, seconds=round(time.perf_counter() - start, 2))


def check_twin(
    twin: Twin,
    *,
    section: str = "",
    device: str = "cpu",
    tf32: bool = False,
    policy: Policy = POLICY,
    probes: int = PROBES,
    tiers: tuple[str, ...] = TIERS,
    layers: bool = True,
) -> Result:
    """Runs both sides in float64, to see whether they agree, and in each lower precision, to see how well.

    Every step starts from the state in which PyTorch has been, so that the last is tested as sharply as the
    first; then all steps are taken in a row. `layers`: each layer on its own, too.
    """
    jax_side, torch_side = jax_device(device), torch_device(device)
    rows: dict[str, list[Row]] = {}
    trajectory, guilty = [], None
    with pinned(tf32=tf32):
        exact = TorchRun(twin, "float64", torch_side)
        runs = {tier: FlaxRun(twin, tier, jax_side, tf32) for tier in tiers}
        low = {tier: TorchRun(twin, tier, torch_side) for tier in tiers}
        states, kept = [twin.start], Kept()
        for number in range(1, len(twin.batches) + 1):  # one by one: the records of all are gigabytes
            oracle = exact.taken(number, states[-1])
            if number == 1:
                check_repeatable(twin, torch_side, oracle)
            after = rounded(exact.state())
            slots = {slot for given in after.slots.values() for slot in given}
            subtracted = subtracted_parameters(twin, number, states[-1])
            for tier, run in runs.items():
                flax = run.taken(number, states[-1], slots)
                if not any("/step:" in key for key in flax):  # some of Optax's optimisers do not count
                    oracle = {key: array for key, array in oracle.items() if "/step:" not in key}
                disturbed = partial(disturbed_steps, low[tier], number, states[-1])
                judge = partial(_semantics, probes=probes) if tier == "float64" else partial(_precision, tier=tier)
                found = judge(oracle, flax, twin, disturbed, policy, subtracted)
                if twin.classes:
                    found += compare_classes(oracle, flax, found)
                rows.setdefault(tier, []).extend(found)
                kept.keep(tier, oracle, flax, found)
            for run in (exact, *low.values()):
                run.advance()
            states.append(after)
        if len(twin.batches) > 1:
            more, trajectory = free_run(twin, runs, torch_side, policy)
            rows = {tier: [*rows[tier], *more.get(tier, [])] for tier in rows}
        alone, around = Isolated(), Isolated()
        if "float64" in rows:
            inside = partial(isolate, twin, torch_side, jax_side, policy)
            alone = inside(containers=False) if layers else alone
            rows["float64"] += alone.rows
            if not all(row.passed for row in rows["float64"]):
                modes = {train: inside(containers=True, train=train) for train in (True, False)}
                guilty = blame(twin, rows["float64"], modes, *kept.records["float64"], states)
                around = modes[True]
        for tier in rows:
            if guilty is None and not all(row.passed for row in rows[tier]) and torch_side == "cpu":
                guilty = blame_precision(twin, tier)
        evidence = evidence_of(rows, kept.records, around.layers, guilty)
    params = sum(parameter.numel() for parameter in twin.torch_model.parameters())
    return Result(
        twin.name,
        section,
        params,
        rows,
        blame=guilty,
        trajectory=trajectory,
        settings={"probes": probes},
        skipped=alone.skipped,
        evidence=evidence,
    )


@dataclass
class Kept:
    """By tier, what of PyTorch's oracle and of Flax's run is still needed: the first step, and steps that fail."""

    records: dict[str, tuple[Record, Record]] = field(default_factory=dict)

    def keep(self, tier: str, oracle: Record, flax: Record, rows: list[Row]) -> None:
        left, right = self.records.setdefault(tier, ({}, {}))
        if not left or not all(row.passed for row in rows):
            left |= oracle
            right |= flax


def check_repeatable(twin: Twin, device: str, first: Record) -> None:
    """Raises InputError where PyTorch gives another result than its `first` for the same numbers."""
    second = TorchRun(twin, "float64", device).taken(1, twin.start)
    for key in second:
        scale = np.max(np.abs(first[key]), initial=1e-300)
        if first[key].size and np.max(np.abs(first[key] - second[key])) > 1e-9 * scale:
            raise InputError(f"{twin.name}: PyTorch's model is not deterministic: two runs differ in {key}")


def subtracted_parameters(twin: Twin, number: int, state: State) -> dict[str, float]:
    """For each update, the largest of the parameters that it was the difference of."""
    trained = [leaf for leaf in twin.leaves if leaf.trained]
    where = phase(number, "update")
    return {f"{where}/{leaf.name}": float(np.max(np.abs(state.tensors[leaf.key]), initial=0.0)) for leaf in trained}


Disturbed = Callable[[range], Iterator[Record]]


def _semantics(
    oracle: Record,
    flax: Record,
    twin: Twin,
    disturbed: Disturbed,
    policy: Policy,
    subtracted: dict[str, float],
    probes: int = PROBES,
) -> list[Row]:
    """Where a gap seems too large, more probes tell how far rounding can move it."""
    spread, noise, rows = dict[str, np.ndarray](), dict[str, float](), list[Row]()
    for seeds in (range(probes), range(probes, MOST_PROBES)):
        noise = largest_of(noise, noise_of(oracle, disturbed(seeds), spread))
        rows = compare_semantics(oracle, flax, noise, longest_sum(twin), policy, subtracted, spread)
        if all(row.passed for row in rows):
            break
    return rows


def _precision(
    oracle: Record,
    flax: Record,
    twin: Twin,
    disturbed: Disturbed,
    policy: Policy,
    subtracted: dict[str, float],
    tier: str = "float32",
) -> list[Row]:
    """PyTorch's error is the largest of a few runs that differ by one ulp: equally good ways of rounding.

    A unit of a rectifier or a maximum may flip in one of them and move a whole gradient. Where Flax's error
    seems too large, more runs tell how often PyTorch does the same.
    """
    reference, rows = dict[str, float](), list[Row]()
    for seeds in (range(-1, PROBES), range(PROBES, MOST_PROBES)):
        reference = largest_of(reference, errors_of(oracle, disturbed(seeds)))
        rows = compare_precision(oracle, reference, flax, longest_sum(twin), tier, policy, subtracted)
        if all(row.passed for row in rows):
            break
    return rows


def disturbed_steps(run: TorchRun, number: int, state: State, seeds: range) -> Iterator[Record]:
    """A step of PyTorch's for each seed, its weights and inputs moved by one ulp; seed -1 moves nothing."""
    for seed in seeds:
        yield run.taken(number, state, one_ulp(seed))
