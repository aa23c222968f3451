"""PyTorch's step as DistributedDataParallel takes it: a process for each share of the batch, over gloo."""

import tempfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from d2l_jax.turns import Tensors
from parity.arrays.key import Key, Record
from parity.environment import pinned
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.processes import processes
from parity.sides.disturb_operations import by_an_ulp
from parity.sides.synchronised import synchronise
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import rounded
from parity.twin.torch_side import torch_side
from parity.twin.twin import Batch, Problem, State, TorchTurn, Twin


@dataclass(frozen=True)
class DistributedStep:
    """A step of DistributedDataParallel's.

    start:  from which it was taken
    record: what is in between, of the whole batch
    probes: the same step, moved by one ulp as `by_an_ulp` says
    """

    start: State
    record: Record
    probes: list[Record]


def distributed_steps(case: Case, twin: Twin, count: int, synchronised: bool, probes: int = 0) -> list[DistributedStep]:
    """Returns the steps on the twin's batches, each cut over `count` processes and from the state of the one before.

    synchronised: batch statistics are those of the whole batch, not of a process's share

    Raises InputError where the steps have several turns, or draw random numbers.
    """
    if len(twin.turns) != 1 or twin.order:
        why = "draws random numbers" if twin.order else f"has {len(twin.turns)} turns in a step"
        raise InputError(f"{case.name} {why}: DistributedDataParallel is compared without, and with one turn")
    problem = Problem(**{each.name: getattr(twin, each.name) for each in fields(Problem)})
    with tempfile.TemporaryDirectory() as folder, processes(count, preload=__name__) as pool:
        meet = str(Path(folder) / "meet")
        jobs = [pool.submit(_steps, case, problem, rank, count, meet, synchronised, probes) for rank in range(count)]
        return [job.result() for job in jobs][0]


def _steps(
    case: Case, problem: Problem, rank: int, count: int, meet: str, synchronised: bool, probes: int
) -> list[DistributedStep]:
    distributed.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=count)
    halves = {each.name: getattr(problem, each.name) for each in fields(Problem)}
    twin = Twin(**halves, flax=cast(Any, None), torch=torch_side(case, probe=True))
    steps = list[DistributedStep]()
    state = twin.start
    try:
        with pinned():
            run = ReplicaOfTorch(twin, rank, count, synchronised)
            for number in range(1, len(twin.batches) + 1):
                record = run.taken(number, state)
                after = rounded(run.state())
                moved = [run.taken(number, state, by_an_ulp(seed, 1, False)) for seed in range(probes)]
                steps.append(DistributedStep(state, record, moved))
                run.advance()
                state = after
    finally:
        distributed.destroy_process_group()
    return steps if rank == 0 else []


class ReplicaOfTorch(TorchRun):
    """PyTorch's model within DistributedDataParallel, in one of the processes; what it records is of all of them."""

    def __init__(self, twin: Twin, rank: int, count: int, synchronised: bool):
        super().__init__(twin, "float64", "cpu")
        self.rank = rank
        self.count = count
        if synchronised:
            synchronise(self.model)
        self.parallel = DistributedDataParallel(self.model)

    def evaluate(self, batch: Batch, number: int = 1) -> Record:
        """Returns nothing: evaluation is not distributed."""
        return {}

    def step(self, batch: Batch, number: int) -> Record:
        """Takes the step on this process's share of the batch."""
        tensors = {name: _share(value, self.rank, self.count) for name, value in batch.tensors.items()}
        return self._gathered(super().step(replace(batch, tensors=tensors), number))

    def differentiate(
        self, turn: TorchTurn, tensors: Tensors, drawing: ImposedOnTorch, last: bool = True
    ) -> tuple[torch.Tensor, Tensors]:
        """Returns loss and further tensors of the share; the gradients in their places are the means of all."""
        module = self.model
        self.model = self.parallel
        try:
            return super().differentiate(turn, tensors, drawing, last)
        finally:
            self.model = module

    def _gathered(self, record: Record) -> Record:
        """Returns the record with the outputs of the whole batch, its mean loss, and its inputs' gradients."""
        shared = {key: array for key, array in record.items() if key.phase == "forward" or self._is_of_inputs(key)}
        every: list[Record] = [{} for _ in range(self.count)]
        distributed.all_gather_object(every, shared)
        for key, array in shared.items():
            parts = [each[key] for each in every]
            whole = np.concatenate(parts) if array.ndim else np.asarray(np.mean(parts))
            record[key] = whole if key.phase == "forward" else whole / self.count
        return record

    def _is_of_inputs(self, key: Key) -> bool:
        return key.phase == "gradients" and key.tensor not in {leaf.name for leaf in self.twin.leaves}


def _share(value: Any, rank: int, count: int) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_share(each, rank, count) for each in value)
    if not np.ndim(value):
        return value
    if len(value) % count:
        raise InputError(f"a batch of {len(value)} does not divide over {count} processes; a multiple of it is right")
    size = len(value) // count
    return value[rank * size : (rank + 1) * size]
