"""All steps in a row: how far both frameworks drift, judged by how far PyTorch's own rounding makes it drift."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from parity.compare import UNIT, Policy, Record, Row, compare_semantics, noise_of, row
from parity.disturb import one_ulp
from parity.pairing import longest_sum
from parity.result import Distance
from parity.run_flax import FlaxRun
from parity.run_torch import free_run_torch
from parity.twin import Twin

PROBES = 2


def free_run(
    twin: Twin, runs: Mapping[str, FlaxRun], device: str, policy: Policy
) -> tuple[dict[str, list[Row]], list[Distance]]:
    """Rows for each tier, and the distances over time.

    float64: every tensor after the last step, against the noise that one ulp at the start becomes.
    float32: the distance of all parameters to the float64 run, against PyTorch's own.
    """
    oracle = free_run_torch(twin, "float64", device)
    free = {tier: run.free() for tier, run in runs.items() if tier != "bfloat16"}  # where a free run is chaos
    rows: dict[str, list[Row]] = {}
    steps = range(1, len(twin.batches) + 1)
    if "float64" in free:
        disturbed = [free_run_torch(twin, "float64", device, one_ulp(seed)) for seed in range(PROBES)]
        last = [_last(record, steps[-1]) for record in (oracle, free["float64"], *disturbed)]
        chaotic = replace(policy, ceiling=math.inf)  # what is the same mathematics, the single steps have told
        rows["float64"] = compare_semantics(last[0], last[1], noise_of(last[0], last[2:]), longest_sum(twin), chaotic)
    low = next((tier for tier in free if tier == "float32"), None)
    trajectory: list[Distance] = []
    if low:
        torch_runs = [free_run_torch(twin, low, device)]
        torch_runs += [free_run_torch(twin, low, device, one_ulp(seed)) for seed in range(PROBES)]
        trajectory = [
            Distance(
                step,
                max(distance(twin, oracle, other, step) for other in torch_runs),
                distance(twin, oracle, free[low], step),
                distance(twin, oracle, free[low], step, torch_runs[0]),
                distance(twin, oracle, free["float64"], step) if "float64" in free else np.nan,
            )
            for step in steps
        ]
        floor = policy.sums * np.sqrt(longest_sum(twin)) * UNIT[low]
        rows[low] = [
            row(f"free run/all parameters after step {d.step}", d.flax32, policy.ratio * d.torch32 + floor,
                f"{policy.ratio:g} x PyTorch's {d.torch32:.1e} + {policy.sums:g} x sqrt({longest_sum(twin)}) ulp")
            for d in trajectory
        ]  # fmt: skip
    return rows, trajectory


def distance(twin: Twin, oracle: Record, run: Record, step: int, other: Record | None = None) -> float:
    """Between the parameters of two runs after a step, relative to the way that the oracle has gone."""
    trained = [leaf for leaf in twin.leaves if leaf.trained]
    names = dict.fromkeys(leaf.name for leaf in trained)
    start = {leaf.name: sum(twin.start.tensors[key] for key in (leaf.key, *leaf.merged)) for leaf in trained}
    gone = sum(np.sum((oracle[f"{step}/{name}"] - start[name]) ** 2.0) for name in names)
    base = other or oracle
    apart = sum(np.sum((run[f"{step}/{n}"].astype(np.float64) - base[f"{step}/{n}"]) ** 2) for n in names)
    return float(np.sqrt(apart / gone)) if gone else float(np.sqrt(apart))


def _last(record: Record, step: int) -> dict[str, np.ndarray]:
    start = f"{step}/"
    return {f"after {step} steps/{key.removeprefix(start)}": a for key, a in record.items() if key.startswith(start)}
