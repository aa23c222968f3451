"""Section 13.5: one batch over 1, 2, 4 and 8 virtual devices: the time of a step, and what the devices send each other.

They share the cores of one machine: the efficiency is the time of one device over that of several. Below 1 it lacks
what cutting, sending and waiting cost; above 1 a program for one device leaves cores idle, or other programs take them.
On as many GPUs it would be that over their number.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEVICES = (1, 2, 4, 8)


def measured(devices: int) -> dict:
    """Returns the median seconds of a step in this process, and its collectives."""
    import jax

    jax.config.update("jax_num_cpu_devices", devices)
    import numpy as np
    from flax import nnx

    from d2l_jax import TrainState, losses, optim, supervised
    from d2l_jax.models import LeNetScratch
    from d2l_jax.train.collectives import collectives
    from d2l_jax.train.devices import mesh_of, replicated, sharded
    from d2l_jax.train.parallel import make_parallel_step

    mesh = mesh_of(devices)
    model = LeNetScratch(rngs=nnx.Rngs(0))
    turns = supervised(losses.cross_entropy, optim.SGD(lr=0.2))
    random = np.random.default_rng(0)
    batch = {"input": random.random((256, 28, 28, 1), np.float32), "targets": random.integers(0, 10, 256, np.int32)}
    batch = sharded(batch, mesh)
    step = make_parallel_step(model, turns, mesh)
    state = replicated(TrainState.create(model, turns), mesh)
    sent = collectives(step, state, batch)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        state, results = step(state, batch)
        jax.block_until_ready(results)
        times.append(time.perf_counter() - start)
    return {"seconds": sorted(times[2:])[5], "sent": {kind: each._asdict() for kind, each in sent.items()}}


def draw(efficiency: list[float], path: Path) -> None:
    """Draws the efficiency over the number of devices."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(4, 3), layout="constrained")
    axes.plot(DEVICES, efficiency, marker="o")
    axes.axhline(1, color="grey", linestyle="--")
    axes.set_xscale("log", base=2)
    axes.set_xticks(DEVICES, [str(n) for n in DEVICES])
    axes.set_ylim(0, 1.1 * max(1.0, *efficiency))
    axes.set(xlabel="virtual devices on the same cores", ylabel="time of one / time of several")
    figure.savefig(path, dpi=150)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "path", metavar="PICTURE", nargs="?", type=Path, default=Path(tempfile.gettempdir()) / "scaling.png"
)
parser.add_argument("--devices", type=int, help=argparse.SUPPRESS)  # what this program asks of itself
options = parser.parse_args()
if options.devices:
    print(json.dumps(measured(options.devices)))
else:
    command = [sys.executable, __file__, "--devices"]
    outputs = [subprocess.run([*command, str(n)], check=True, capture_output=True, text=True).stdout for n in DEVICES]
    figures = [json.loads(output) for output in outputs]
    efficiency = [figures[0]["seconds"] / each["seconds"] for each in figures]
    for devices, each, part in zip(DEVICES, figures, efficiency):
        sent = [f"{n['operations']} {kind} of {n['bytes']:,} bytes" for kind, n in each["sent"].items()]
        time_of = f"{1e3 * each['seconds']:.1f} ms, efficiency {part:.2f}"
        print(f"{devices} devices: {time_of}; {', '.join(sent) or 'nothing'} sent")
    draw(efficiency, options.path)
    print(f"written {options.path}")
