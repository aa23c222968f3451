"""The memory that a check needs, estimated before it starts, and what there is: the kernel's kill explains nothing."""

import math
from itertools import accumulate
from typing import NamedTuple

import torch

from d2l_jax.errors import InputError
from parity.proof.checking import Checking
from parity.proof.free_memory import free_memory
from parity.proof.size import Size, slots_of
from parity.sides.torch import TorchRun
from parity.twin.twin import Twin

HELD = 60  # bytes for each number of the model, throughout
BUILT = 8  # of these, what the twin holds before the check
WORKER = 1e9  # bytes of a process with both frameworks, and the programs of a small model


class Need(NamedTuple):
    """The bytes that the check of one case takes beside what any process takes."""

    size: float
    name: str


def needed(size: Size, steps: int) -> float:
    """Returns the bytes by which a check makes its process grow, as was measured (docs/limits.md).

    Beside what is held throughout there is the largest of three: the records of a step, the tensors after each of all
    steps in a row, and what layers put out.
    """
    records = (58 if steps == 1 else 75) * size.numbers
    in_a_row = 0 if steps == 1 else (30 + 16 * steps) * size.numbers
    outputs = (60 if steps == 1 else 130) * size.outputs
    return HELD * size.numbers + (50 if steps == 1 else 95) * size.slots + max(records, in_a_row, outputs)


def check_cases_fit(sizes: dict[str, Size], jobs: int, checking: Checking) -> None:
    """Raises InputError, before anything is built, where the cases of these sizes need more memory than is free."""
    free = _free(checking)
    steps = 1 if checking.full else checking.steps
    needs = sorted((Need(needed(size, steps), name) for name, size in sizes.items()), reverse=True)[:jobs]
    process = 0.0 if checking.memory is None else WORKER  # what is free leaves out what this process has already
    for need in needs[:1]:
        _check_fits(need.name, process + need.size, free, _remedy(checking, steps))
    if len(needs) > 1:
        totals = list(accumulate(WORKER + need.size for need in needs))
        fitting = max(1, sum(total <= free for total in totals))
        named = ", ".join(need.name for need in needs[:3]) + (", ..." if len(needs) > 3 else "")
        _check_fits(f"--jobs {jobs}, with {named} side by side,", totals[-1], free, f"--jobs {fitting}")


def check_twin_fits(twin: Twin, checking: Checking) -> None:
    """Raises InputError where the check of this twin needs more memory than is free."""
    size = size_of_twin(twin)
    steps = len(twin.batches)
    _check_fits(twin.name, needed(size, steps) - BUILT * size.numbers, _free(checking), _remedy(checking, steps))


def _remedy(checking: Checking, steps: int) -> str:
    if checking.full:
        return "its small size, without --full,"
    return ("a single step, " if steps > 1 else "") + "a smaller batch or a smaller model"


def size_of_twin(twin: Twin) -> Size:
    """Returns the size of both models, and of what their layers put out for a batch."""
    numbers = sum(array.size for array in twin.start.tensors.values())
    slots = sum(slots_of(turn, twin.flax.model.params) for turn in twin.flax.turns)
    return Size(len(twin.start.tensors), numbers, slots, _outputs(twin))


def _outputs(twin: Twin) -> int:
    """Returns how many numbers all calls of PyTorch's layers put out in one evaluation."""
    seen: list[int] = []

    def count(module: torch.nn.Module, args: tuple, output: object) -> None:
        if not list(module.children()) and isinstance(output, torch.Tensor):
            seen.append(output.numel())

    run = TorchRun(twin, "float32", "cpu")
    hook = torch.nn.modules.module.register_module_forward_hook(count)
    try:
        run.evaluate(twin.batches[0])
    finally:
        hook.remove()
    return sum(seen)


def _free(checking: Checking) -> float:
    """Returns the bytes that the check may take; on a GPU, the most of it is not in the machine's memory."""
    if checking.memory is not None:
        return checking.memory
    free = free_memory() if checking.device == "cpu" else None
    return math.inf if free is None else free


def _check_fits(subject: str, size: float, free: float, remedy: str) -> None:
    if size > free:
        amounts = f"needs about {_written(size)} of memory, and {_written(free)} are free"
        raise InputError(f"{subject} {amounts}; {remedy} is right")


def _written(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size > 1e9 else f"{size / 1e6:.1f} MB"
