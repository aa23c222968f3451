"""One step over several devices against the same step on one: data parallelism must change nothing but rounding."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import jax

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from d2l_jax.train.devices import mesh_of
from parity.compare.policy import POLICY
from parity.compare.probes import noise_of
from parity.compare.rows import Row
from parity.compare.semantics import compare_semantics
from parity.environment import pinned, torch_device
from parity.processes import processes
from parity.proof.checking import PROBES, Checking
from parity.proof.judging import Roundings, check_finite, disturbed_steps
from parity.result import Result
from parity.sides.flax import FlaxRun
from parity.sides.sharded import ShardedRun
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import rounded
from parity.twin.pairing import longest_sum, twin_of
from parity.twin.twin import STEPS, Twin

EACH = 2  # examples on a device
MOST = 64  # virtual devices of a CPU


def check_devices(cases: Sequence[Case], devices: int, device: str = "cpu", steps: int = STEPS) -> Iterator[Result]:
    """Returns the results of the cases, each step over `devices` devices compared with one device.

    On a CPU these are virtual, made in a process of their own, since JAX counts its devices once.
    """
    Checking(device=device, steps=steps)
    if not 1 <= devices <= MOST:
        raise InputError(f"--devices {devices} is out of range; a number from 1 to {MOST} is right")
    if device != "cpu":
        yield from (check_sharded(case, devices, device, steps) for case in cases)
        return
    with processes(1, _virtual, devices) as pool:
        yield from pool.map(check_sharded, cases, [devices] * len(cases), [device] * len(cases), [steps] * len(cases))


def _virtual(devices: int) -> None:
    jax.config.update("jax_num_cpu_devices", devices)


def check_sharded(case: Case, devices: int, device: str = "cpu", steps: int = STEPS, size: int | None = None) -> Result:
    """Compares the step over the devices with the step on one, in this process.

    size: examples in a batch; None takes two for each device
    """
    start = time.perf_counter()
    try:
        twin = twin_of(case, steps=steps, size=EACH * devices if size is None else size)
        params = sum(parameter.numel() for parameter in twin.torch.model.parameters())
        result = Result(case.name, case.section, params, {"float64": _rows(twin, devices, device)})
    except InputError as error:
        result = Result(case.name, case.section, 0, error=str(error), refused=True)
    except Exception as error:  # a model that cannot run is one case's result, not the end of all
        result = Result(case.name, case.section, 0, error=f"{type(error).__name__}: {error}")
    return replace(result, seconds=round(time.perf_counter() - start, 2), settings={"devices": devices})


def _rows(twin: Twin, devices: int, device: str) -> list[Row]:
    """Returns the rows of float64, in which one device is the oracle; PyTorch measures what rounding may do."""
    mesh = mesh_of(devices)
    first = jax.devices(device)[0]
    one = FlaxRun(twin, "float64", first)
    several = ShardedRun(twin, "float64", first, mesh)
    rows = list[Row]()
    states = [twin.start]
    with pinned():
        theirs = TorchRun(twin, "float64", torch_device(device))
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
