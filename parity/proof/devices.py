"""One step over several devices against the same step on one, or against PyTorch's DistributedDataParallel."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import jax

from d2l_jax.case import Case
from d2l_jax.errors import InputError, one_of
from d2l_jax.train.devices import mesh_of
from d2l_jax.train.parallel import PER_REPLICA, SYNCHRONISED
from parity.arrays.key import Record
from parity.compare.policy import POLICY
from parity.compare.probes import noise_of
from parity.compare.rows import Row
from parity.compare.semantics import compare_semantics
from parity.environment import pinned, torch_device
from parity.processes import processes
from parity.proof.checking import PROBES, Checking
from parity.proof.judging import Roundings, check_finite, disturbed_steps
from parity.result import Result
from parity.sides.distributed import distributed_steps
from parity.sides.flax import FlaxRun
from parity.sides.replicas import ReplicaRun
from parity.sides.sharded import ShardedRun
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import rounded
from parity.twin.pairing import longest_sum, twin_of
from parity.twin.twin import STEPS, Twin

EACH = 2  # examples on a device
MOST = 64  # virtual devices of a CPU


@dataclass(frozen=True)
class Spread:
    """A step over several devices, and what it is compared with.

    devices:    how many
    device:     "cpu" or "gpu"
    ddp:        it is compared with PyTorch's DistributedDataParallel, over gloo in as many processes; else with the
                same step on one device
    batch_norm: "synchronised", statistics of the whole batch; or "per-replica", of each device's share, which one
                device does not know

    Raises InputError where it cannot be.
    """

    devices: int
    device: str = "cpu"
    ddp: bool = False
    batch_norm: str = SYNCHRONISED

    def __post_init__(self) -> None:
        if not 1 <= self.devices <= MOST:
            raise InputError(f"--devices {self.devices} is out of range; a number from 1 to {MOST} is right")
        if self.batch_norm not in (SYNCHRONISED, PER_REPLICA):
            raise one_of("--batch-norm", self.batch_norm, [SYNCHRONISED, PER_REPLICA])
        if self.batch_norm == PER_REPLICA and not self.ddp:
            raise InputError(f"--batch-norm {PER_REPLICA} is not what one device computes; it is compared with --ddp")


def check_devices(cases: Sequence[Case], spread: Spread, steps: int = STEPS) -> Iterator[Result]:
    """Returns the results of the cases, each step over several devices.

    On a CPU these are virtual, made in a process of their own, since JAX counts its devices once.
    """
    Checking(device=spread.device, steps=steps)
    if spread.device != "cpu":
        yield from (check_sharded(case, spread, steps) for case in cases)
        return
    with processes(1, _virtual, spread.devices) as pool:
        yield from pool.map(check_sharded, cases, [spread] * len(cases), [steps] * len(cases))


def _virtual(devices: int) -> None:
    jax.config.update("jax_num_cpu_devices", devices)


def check_sharded(case: Case, spread: Spread, steps: int = STEPS, size: int | None = None) -> Result:
    """Compares the step over the devices with that on one, or with PyTorch's, in this process.

    size: examples in a batch; None takes two for each device
    """
    start = time.perf_counter()
    try:
        twin = twin_of(case, steps=steps, size=EACH * spread.devices if size is None else size)
        params = sum(parameter.numel() for parameter in twin.torch.model.parameters())
        rows = _rows_of_ddp(case, twin, spread) if spread.ddp else _rows(twin, spread)
        result = Result(case.name, case.section, params, {"float64": rows})
    except InputError as error:
        result = Result(case.name, case.section, 0, error=str(error), refused=True)
    except Exception as error:  # a model that cannot run is one case's result, not the end of all
        result = Result(case.name, case.section, 0, error=f"{type(error).__name__}: {error}")
    settings = {"devices": spread.devices}
    if spread.ddp:
        settings |= {"ddp": True, "batch_norm": spread.batch_norm}
    return replace(result, seconds=round(time.perf_counter() - start, 2), settings=settings)


def _rows(twin: Twin, spread: Spread) -> list[Row]:
    """Returns the rows of float64, in which one device is the oracle; PyTorch measures what rounding may do."""
    first = jax.devices(spread.device)[0]
    one = FlaxRun(twin, "float64", first)
    several = ShardedRun(twin, "float64", first, mesh_of(spread.devices))
    rows = list[Row]()
    states = [twin.start]
    with pinned():
        theirs = TorchRun(twin, "float64", torch_device(spread.device))
        for number in range(1, len(twin.batches) + 1):
            check_finite(twin, number, theirs.taken(number, states[-1]))
            after = rounded(theirs.state())
            slots = {slot for values in after.slots.values() for slot in values}
            oracle = one.taken(number, states[-1], slots)
            record = several.taken(number, states[-1], slots)
            probes = disturbed_steps(theirs, number, states[-1], range(PROBES))
            noise = noise_of(oracle, probes)
            subtracted, corrected = Roundings.of(theirs, number, states[-1])
            rows += compare_semantics(oracle, record, noise, longest_sum(twin), POLICY, subtracted, corrected=corrected)
            theirs.advance()
            states.append(after)
    return rows


def _rows_of_ddp(case: Case, twin: Twin, spread: Spread) -> list[Row]:
    """Returns the rows of float64, in which DistributedDataParallel is the oracle, and measures its own rounding."""
    synchronised = spread.batch_norm == SYNCHRONISED
    oracles = distributed_steps(case, twin, spread.devices, synchronised, PROBES)
    first = jax.devices(spread.device)[0]
    mesh = mesh_of(spread.devices)
    ours = (ShardedRun if synchronised else ReplicaRun)(twin, "float64", first, mesh)
    one = TorchRun(twin, "float64", torch_device(spread.device))
    rows = list[Row]()
    for number, oracle in enumerate(oracles, 1):
        check_finite(twin, number, oracle.record)
        slots = {slot for step in oracles for values in step.start.slots.values() for slot in values}
        slots |= {key.slot for key in oracle.record if key.slot}
        record = _of_the_step(ours.taken(number, oracle.start, slots))
        noise = noise_of(oracle.record, oracle.probes)
        subtracted, corrected = Roundings.of(one, number, oracle.start)
        rows += compare_semantics(
            oracle.record, record, noise, longest_sum(twin), POLICY, subtracted, corrected=corrected
        )
    return rows


def _of_the_step(record: Record) -> Record:
    return {key: array for key, array in record.items() if key.phase != "evaluation"}
