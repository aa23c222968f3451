"""Learning rates trained at once by vmap, and one after another (chapter 19)."""

import argparse
import sys
import time

import numpy as np

from d2l_jax.errors import InputError
from d2l_jax.runs.options import Options
from d2l_jax.search.case_objective import CaseObjective
from d2l_jax.search.vectorised import errors_by_rate


class Clock:
    """Wall and processor time in all, and wall time of the epochs after the first, which compiles."""

    def __init__(self):
        self.start, self.processor = time.perf_counter(), time.process_time()
        self.epochs = []

    def heard(self, errors):
        self.epochs.append(time.perf_counter())

    def read(self):
        later = self.epochs[-1] - self.epochs[0] if self.epochs else 0.0
        return np.asarray([time.perf_counter() - self.start, time.process_time() - self.processor, later])


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model", metavar="MODEL", nargs="?", default="mlp", help="as d2l-jax list names it; mlp if none")
parser.add_argument("rates", metavar="RATES", nargs="?", type=int, default=32, help="how many; 32 if none")
parser.add_argument("epochs", metavar="EPOCHS", nargs="?", type=int, default=10, help="10 if none")
model, rates, epochs = vars(parser.parse_args()).values()
try:
    objective = CaseObjective(Options(model, data="digits", epochs=epochs, batch_size=64))
    case, data = objective.prepared({})
except InputError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
grid = np.geomspace(0.001, 0.5, rates).astype(np.float32)

clock = Clock()
together = errors_by_rate(case, data, grid, hear=clock.heard)
at_once = clock.read()

spent = np.zeros(3)
singly = []
for rate in grid:
    clock = Clock()
    errors = []
    objective({"lr": float(rate)}, lambda error, errors=errors, clock=clock: (errors.append(error), clock.heard(error)))
    spent += clock.read()
    singly.append(errors)

same = np.isclose(together, np.asarray(singly).T, atol=1.5 / data.held_out)
best = int(np.nanargmin(together[-1]))
print(f"{rates} learning rates of {model} on digits, {epochs} epochs; best {grid[best]:.3g}, {together[-1, best]:.4f}")
print(f"the errors are those of single runs, to one test image, in {same.mean():.1%} of {same.size} epochs")
for what, once, one_by_one in zip(("wall time", "processor time", "wall time without compiling"), at_once, spent):
    print(f"{what}: {once:.1f} s at once, {one_by_one:.1f} s one after another, {one_by_one / once:.1f} times")
