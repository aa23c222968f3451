"""Training runs of seconds, in this process or a fresh one, and what makes two of them the same run."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.data import load
from d2l_jax.runs.learner import JaxLearner
from d2l_jax.runs.run import Job
from d2l_jax.train.checkpoint import FOLDER, restore


def small(name: str, out: Path, epochs: int = 2, **settings: Any) -> Job:
    """A run on a few of the digits (6 batches, none left over), or on the Case's own drawn data."""
    case = replace(get(name), epochs=epochs)
    if not case.labels:
        return Job(case, load(case.data), out, **settings)
    digits = load("digits")
    X, y = digits.train
    X_test, y_test = digits.test
    data = replace(digits, train=(X[:192], y[:192]), test=(X_test[:50], y_test[:50]))
    return Job(replace(case, inputs=(32, 28, 28, 1)), data, out, **settings)


def weights(out: Path, epoch: int, case: Case) -> list[np.ndarray]:
    """All arrays of a checkpoint, the random keys as numbers."""
    learner = JaxLearner(case, 0)
    leaves = jax.tree.leaves(restore(out / FOLDER, epoch, learner.state).state)
    is_key = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    return [np.asarray(jax.random.key_data(leaf) if key else leaf) for leaf, key in zip(leaves, is_key)]


def assert_same_run(left: Path, right: Path, epoch: int, case: Case) -> None:
    records = [json.loads((out / "metrics.json").read_text())["records"] for out in (left, right)]
    assert len(records[0]) == epoch and records[0] == records[1]
    for a, b in zip(weights(left, epoch, case), weights(right, epoch, case)):
        np.testing.assert_array_equal(a, b)


PROGRAM = """
import os, signal, sys
from pathlib import Path
from typing import Any
sys.path.insert(0, {helpers!r})
from d2l_jax.runs.run import Listener, train
from small_runs import small

class Killer(Listener):
    def event(self, event):
        if event.epoch == 3 and event.done == 4 and {kill}:
            os.kill(os.getpid(), signal.SIGKILL)

for out, resume in {jobs!r}:
    train(small("dropout-mlp", Path(out), 4, resume=resume), Killer())
"""


def run_program(kill: bool, *jobs: tuple[str, bool]) -> int:
    """Trains in a fresh process without x64, which is what users have."""
    environment = {**os.environ, "JAX_ENABLE_X64": "0", "JAX_PLATFORMS": "cpu"}
    program = PROGRAM.format(helpers=str(Path(__file__).parent), kill=kill, jobs=jobs)
    return subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode
