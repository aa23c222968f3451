"""One of several processes that train together: `launch` starts it and tells it, on standard input, what to do."""

import logging
import os
import pickle
import signal
import sys
from threading import Thread
from typing import Any

import jax

from d2l_jax.errors import InputError
from d2l_jax.runs.options import Options
from d2l_jax.runs.together import ALONE, LOOPBACK, Together
from d2l_jax.runs.virtual import set_virtual_devices

HEARTBEAT = 30  # seconds without a sign of life, after which a process counts as dead
MEET = 120  # seconds in which all have to be there


def main() -> None:
    """Trains with the others; status 2 and a line for wrong input, `ALONE` and a line where another one is lost."""
    options, processes, place = pickle.load(sys.stdin.buffer)
    Thread(target=_end_with_launcher, daemon=True).start()
    _keep_output_from_libraries()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    status = 0
    try:
        _train(options, processes, place)
    except (InputError, OSError) as error:
        status = _told(error, 2)
    except jax.errors.JaxRuntimeError as error:
        status = _told(f"another process is lost: {str(error).splitlines()[0]}", ALONE)
    sys.stdout.flush()
    if status:
        os._exit(status)  # what JAX does at an exit would wait for the others
    jax.distributed.shutdown()


def _train(options: Options, processes: Together, place: int) -> None:
    set_virtual_devices(options.devices)
    _join(processes, place)
    from d2l_jax.runs.progress import Terminal  # what loads models may make JAX compute
    from d2l_jax.runs.run import SILENT
    from d2l_jax.runs.training import trained

    if processes.numbers[place]:
        trained(options, SILENT)
        return
    with Terminal() as terminal:
        trained(options, terminal)


def _join(processes: Together, place: int) -> None:
    address = processes.coordinator
    alone_here = address is not None and address.startswith(f"{LOOPBACK}:")
    jax.distributed.initialize(
        address,
        processes.processes,
        processes.numbers[place],
        processes.gpus[place] or None,
        "deactivate" if address else None,
        initialization_timeout=MEET,
        heartbeat_timeout_seconds=HEARTBEAT,
        coordinator_bind_address=address if alone_here else None,
    )


def _end_with_launcher() -> None:
    """Waits for the end of standard input, which comes with that of the process that holds its other end."""
    os.read(sys.stdin.fileno(), 1)  # unbuffered: Python could not end while a thread holds the buffer
    os._exit(1)


def _keep_output_from_libraries() -> None:
    """Leaves standard output to Python: gloo, too, writes there."""
    sys.stdout = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), 1)


def _told(message: Any, status: int) -> int:
    print(f"error: {message}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    main()
