"""The rules by which other tools call two models equal, each on the float32 numbers that the tool looks at."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from parity.arrays.key import Key, Record
from parity.environment import jax_device, pinned
from parity.sides.flax import FlaxRun
from parity.sides.torch_runs import free_run_torch, run_torch
from parity.twin.twin import Twin

# PyTorch's tensor, Flax's, PyTorch's in float64
Rule = Callable[[np.ndarray, np.ndarray, np.ndarray], bool]


@dataclass(frozen=True)
class Anchor:
    """A tool's rule.

    phases: that the tool looks at: "evaluation" (outputs), "forward" (the loss too), "gradients", "trained" (parameters
            after all steps)
    """

    name: str
    rule: Rule
    phases: tuple[str, ...]


def largest_difference(ours: np.ndarray, flax: np.ndarray, oracle: np.ndarray) -> bool:
    """Hugging Face's rule for PyTorch against Flax: 1e-5; where either is not a number, both become 0."""
    odd = np.isnan(ours) | np.isnan(flax)
    return bool(np.max(np.abs(np.where(odd, 0, ours) - np.where(odd, 0, flax))) <= 1e-5)


def assert_close(ours: np.ndarray, flax: np.ndarray, oracle: np.ndarray) -> bool:
    """`torch.testing.assert_close` with its defaults for float32."""
    try:
        torch.testing.assert_close(torch.as_tensor(flax.copy()), torch.as_tensor(ours.copy()))
    except AssertionError:
        return False
    return True


def means(ours: np.ndarray, flax: np.ndarray, oracle: np.ndarray) -> bool:
    """PaDiff and reprod_log: the means are within 1e-6."""
    return bool(abs(float(ours.mean()) - float(flax.mean())) <= 1e-6)


def within_itself(ours: np.ndarray, flax: np.ndarray, oracle: np.ndarray) -> bool:
    """AlgoPerf's comparison of training: the norms, with rtol = 1."""
    return bool(np.isclose(np.linalg.norm(flax), np.linalg.norm(ours), rtol=1))


def cosine(ours: np.ndarray, flax: np.ndarray, oracle: np.ndarray) -> bool:
    """The cosine of the angle between the two is above 0.99."""
    a = ours.astype(np.float64).ravel()
    b = flax.astype(np.float64).ravel()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return bool(a @ b / norms > 0.99) if norms else bool(np.array_equal(a, b))


def error_ratio(ours: np.ndarray, flax: np.ndarray, oracle: np.ndarray) -> bool:
    """PyTorch dynamo's `same`: close within 1e-3, or no further from float64 than twice PyTorch's own error."""
    if np.allclose(flax, ours, rtol=1e-3, atol=1e-3):
        return True
    flax_error, torch_error = (float(np.sqrt(np.mean((x - oracle) ** 2))) for x in (flax, ours))
    return bool(flax_error <= 2 * torch_error + 1e-4)


GRADIENTS = ("evaluation", "gradients")
TRAINING = ("evaluation", "forward", "gradients", "trained")
ANCHORS = (
    Anchor("largest difference 1e-5", largest_difference, ("evaluation",)),
    Anchor("assert_close", assert_close, GRADIENTS),
    Anchor("means within 1e-6", means, TRAINING),
    Anchor("rtol = 1", within_itself, TRAINING),
    Anchor("cosine > 0.99", cosine, GRADIENTS),
    Anchor("ratio of errors", error_ratio, TRAINING),
)


def differing(twin: Twin) -> list[str]:
    """The names of the anchors that see a difference."""
    ours, flax, oracle = _records(twin)
    return [anchor.name for anchor in ANCHORS if not all(_judged(anchor, ours, flax, oracle))]


def _judged(anchor: Anchor, ours: Record, flax: Record, oracle: Record) -> Iterator[bool]:
    for key, reference in oracle.items():
        if _called(key) not in anchor.phases or not np.issubdtype(reference.dtype, np.floating):
            continue
        if "running_" in key.tensor and key.phase == "evaluation":
            continue  # outputs alone
        both = key in ours and key in flax and ours[key].shape == flax[key].shape and reference.size
        with np.errstate(all="ignore"):
            yield bool(both) and anchor.rule(ours[key], flax[key], reference)


def _called(key: Key) -> str:
    return "trained" if key.phase == "after" else key.phase


def _records(twin: Twin) -> tuple[Record, Record, Record]:
    """PyTorch's and Flax's float32 run, and PyTorch's in float64: one step in full, the parameters after all."""
    single = replace(twin, batches=twin.batches[:1])
    last = len(twin.batches)
    with pinned():
        oracle, states = run_torch(single, "float64", "cpu")
        ours, _ = run_torch(single, "float32", "cpu", states)
        run = FlaxRun(twin, "float32", jax_device("cpu"))
        flax = FlaxRun.teacher_forced(_sharing(run, single), states)
        free = [free_run_torch(twin, "float64", "cpu"), free_run_torch(twin, "float32", "cpu"), run.free()]
    trained = {leaf.name for leaf in twin.moved}
    after = [{Key(last, "after", name): record[Key(last, "after", name)] for name in trained} for record in free]
    return {**ours, **after[1]}, {**flax, **after[2]}, {**oracle, **after[0]}


def _sharing(run: FlaxRun, twin: Twin) -> FlaxRun:
    """A run of fewer batches by the functions that are compiled already."""
    shorter = copy.copy(run)
    shorter.twin = twin
    return shorter
