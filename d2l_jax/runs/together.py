"""Several processes that train one model together: how many, which of them start here, and where they meet."""

import glob
import os
import socket
from collections.abc import Mapping
from typing import NamedTuple

from d2l_jax.errors import InputError
from d2l_jax.runs.options import Options

LOOPBACK = "127.0.0.1"
ALONE = 3  # status of a process that has lost another one


class Together(NamedTuple):
    """The processes of one run.

    processes:   how many there are in all
    numbers:     those that this command starts
    coordinator: HOST:PORT of process 0; None where Slurm tells it
    gpus:        for each that starts here, the numbers of its GPUs; () leaves them to JAX
    """

    processes: int
    numbers: tuple[int, ...]
    coordinator: str | None
    gpus: tuple[tuple[int, ...], ...]

    @property
    def leads(self) -> bool:
        """Tells whether process 0, which writes the files, starts here."""
        return 0 in self.numbers


def together(options: Options, environment: Mapping[str, str] = os.environ) -> Together | None:
    """Returns the processes of a run; None where the command trains alone, in its own process.

    `--coordinator` and `--process-id`, or JAX_COORDINATOR_ADDRESS and JAX_PROCESS_ID, name one of several on a
    cluster; so does Slurm, to what `srun` starts. `--processes` alone starts all of them here.

    Raises InputError where the options do not fit each other.
    """
    count = options.processes
    coordinator = options.coordinator or environment.get("JAX_COORDINATOR_ADDRESS")
    number = options.process_id
    if number is None and "JAX_PROCESS_ID" in environment:
        number = _whole(environment["JAX_PROCESS_ID"], "JAX_PROCESS_ID")
    if count is None:
        if options.coordinator or options.process_id is not None:
            raise InputError("--coordinator and --process-id need --processes, the number of all of them")
        return None
    if count < 1:
        raise InputError(f"--processes {count} is too few; give 1 or more")
    if coordinator is None and number is None:
        if _number_in_slurm(count, environment) is not None:
            return Together(count, (int(environment["SLURM_PROCID"]),), None, ((),))
        if count == 1:
            return None
        return Together(count, tuple(range(count)), _free_address(), _shares(count, environment))
    if coordinator is None or number is None:
        missing = "--coordinator HOST:PORT" if coordinator is None else "--process-id N"
        raise InputError(f"one of several processes needs {missing}, too")
    _check_address(coordinator)
    if not 0 <= number < count:
        raise InputError(f"--process-id {number} is none of {count} processes; give one from 0 to {count - 1}")
    return Together(count, (number,), coordinator, ((),))


def _number_in_slurm(count: int, environment: Mapping[str, str]) -> str | None:
    """Returns the number of this process where `srun` has started as many."""
    started = environment.get("SLURM_STEP_NUM_TASKS", environment.get("SLURM_NTASKS"))
    is_step = "SLURM_STEP_NODELIST" in environment and count > 1 and started == str(count)
    return environment.get("SLURM_PROCID") if is_step else None


def _whole(text: str, name: str) -> int:
    if not text.isdecimal():
        raise InputError(f"{name}={text} is no number of a process; 0, 1, ... is right")
    return int(text)


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(f"--coordinator {address} is no address; HOST:PORT is right, as 10.0.0.1:12345")


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return f"{LOOPBACK}:{probe.getsockname()[1]}"


def _shares(count: int, environment: Mapping[str, str]) -> tuple[tuple[int, ...], ...]:
    """Deals this machine's GPUs out to its processes; where they are fewer, JAX decides."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    here = len(visible.split(",")) if visible else len(glob.glob("/dev/nvidia[0-9]*")) if visible is None else 0
    each = here // count
    return tuple(tuple(range(i * each, (i + 1) * each)) for i in range(count))
