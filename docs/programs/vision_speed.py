"""Times of chapter 14's training steps: TinySSD, FCN and an iteration of style transfer, JAX and PyTorch in turns.

taskset -c 0 python docs/programs/vision_speed.py [NAME ...] [--turns N] [--batch-size N]

One core, and the seconds of it that a step takes: those that other programs take from it do not count. The losses
of the first step are compared before. PyTorch has images channels first, as in the book, and channels last.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median, quantiles

import numpy as np

from d2l_jax import keep_memory
from d2l_jax.catalog import get
from parity.bench.batch import learns_image, random_batch
from parity.bench.conditions import cpu_threads, same_conditions
from parity.bench.cost import arithmetic, traced_training
from parity.bench.jax_programs import jax_training
from parity.bench.programs import Task
from parity.bench.roofline import ceilings
from parity.bench.timing import no_collection
from parity.bench.torch_programs import torch_training

BATCHES = {"tiny-ssd": 8, "fcn": 4, "style-transfer": 1, "style-transfer-vgg16": 1}
LAYOUTS = ("contiguous", "channels_last")


def processor_seconds(run: Callable[[], object]) -> float:
    """Returns the seconds that the process's threads compute in a call, or in as many as last 0.2 s."""
    start = time.process_time()
    calls = 0
    while (spent := time.process_time() - start) < 0.2 or not calls:
        run()
        calls += 1
    return spent / calls


def take_turns(programs: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Returns the seconds of a call of each program in each turn; the order is another in every other turn."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    with no_collection():
        for turn in range(turns):
            for name in list(programs)[:: 1 if turn % 2 else -1]:
                programs[name]()  # the other's arrays are in the caches
                seconds[name].append(processor_seconds(programs[name]))
    return seconds


def in_words(seconds: list[float]) -> str:
    """Returns the median and the quartiles in milliseconds."""
    low, _, high = quantiles(seconds, n=4, method="inclusive")
    return f"{median(seconds) * 1e3:.4g} ({low * 1e3:.4g} to {high * 1e3:.4g}) ms"


def time_case(name: str, size: int, turns: int, products: float) -> list[str]:
    """Returns lines on a case's training step: of each program the median with quartiles, ratio, share of `products`.

    products: operations per second of the fastest product of matrices
    """
    case = get(name)
    task = Task(case, case.build(), random_batch(case, size))
    ours = jax_training(task)
    theirs = {f"PyTorch, {layout}": torch_training(task, layout) for layout in LAYOUTS}
    for program in theirs.values():
        np.testing.assert_allclose(ours.start.losses[0], program.start.losses[0], rtol=1e-5)
    seconds = take_turns({"JAX": ours.step} | {name: program.step for name, program in theirs.items()}, turns)
    flops = arithmetic(traced_training(case, size))
    lines = [f"{name}, {'one image' if learns_image(case) else f'batch {size}'}, {flops / 1e9:.1f} GFLOP"]
    for program, times in seconds.items():
        low, middle, high = quantiles([other / own for other, own in zip(times, seconds["JAX"])], n=4)
        ratio = "" if program == "JAX" else f", ratio {middle:.2f} ({low:.2f} to {high:.2f})"
        lines.append(f"  {program:24} {in_words(times)}, {flops / median(times) / products:.0%} of products{ratio}")
    return lines


def main() -> None:
    """Prints some lines for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["tiny-ssd", "fcn", "style-transfer"])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--batch-size", type=int)
    options = parser.parse_args()
    keep_memory()
    with same_conditions():
        products = ceilings(seconds=3.0).flops
        print(f"{cpu_threads()} thread(s), products at {products / 1e9:.0f} GFLOP/s")
        for name in options.names:
            lines = time_case(name, options.batch_size or BATCHES[name], options.turns, products)
            print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
