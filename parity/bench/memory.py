"""The peak memory of a training step: one fresh process per framework, since a process's peak never falls.

`python -m parity.bench.memory CASE FRAMEWORK BATCH` prints bytes: the peak resident size, less what the
process had before building the model. By then it has trained a line: frameworks load much at their first step.
"""

import contextlib
import resource
import subprocess
import sys
from typing import Any

from d2l_jax.case import Case

FRAMEWORKS = ("jax", "torch")
STEPS = 3


def peak_memory(case: Case, size: int) -> dict[str, int]:
    """{framework: bytes} of a case of the catalogue, on the CPU. Raises RuntimeError where a process fails."""
    return {framework: _measured(case.name, framework, size) for framework in FRAMEWORKS}


def _measured(name: str, framework: str, size: int) -> int:
    command = [sys.executable, "-m", "parity.bench.memory", name, framework, str(size)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{framework}'s memory: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return int(done.stdout)


def growth(name: str, framework: str, size: int) -> int:
    """Returns by how many bytes this process's peak grows when it builds the model and takes three steps."""
    from d2l_jax.catalog import get
    from d2l_jax.errors import one_of
    from parity.bench.batch import random_batch
    from parity.bench.conditions import same_conditions

    if framework not in FRAMEWORKS:
        raise one_of("framework", framework, list(FRAMEWORKS))
    steps = {"jax": _jax_steps, "torch": _torch_steps}[framework]
    line = get("linear-regression")
    case = get(name)
    batch = random_batch(case, size)
    with same_conditions():
        steps(line, random_batch(line, 1))
        before = forget_peak()
        steps(case, batch)
        return peak() - before


def peak() -> int:
    """Bytes of this process's largest resident size so far; where there is /proc, since `forget_peak`."""
    if resident := _status("VmHWM"):
        return resident
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> int:
    """Sets the peak to the size of now, where Linux lets us, and returns the peak."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return peak()


def _status(key: str) -> int:
    """Returns bytes from /proc, 0 where they are not known; `getrusage` would give the peak of a parent process."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(key)), 0)
    return 0


def _jax_steps(case: Case, batch: Any) -> None:
    from parity.bench.jax_programs import jax_training
    from parity.bench.programs import Task

    jax_training(Task(case, case.build(), batch))


def _torch_steps(case: Case, batch: Any) -> None:
    """Takes steps from the twin's own weights: Flax's model would count, too."""
    from parity.bench.batch import torch_batch
    from parity.bench.torch_programs import torch_led, torch_steps
    from parity.twin.torch_side import torch_model

    model = torch_model(case)
    step = torch_steps(case, model, torch_led(case, model, torch_batch(batch, "cpu")))
    for _ in range(STEPS):
        step()


if __name__ == "__main__":
    print(growth(sys.argv[1], sys.argv[2], int(sys.argv[3])))
