"""A whole run, from the start of a process to the final accuracy: `d2l-jax train` against the notes' way in PyTorch."""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from d2l_jax.case import Case
from d2l_jax.data import Dataset
from d2l_jax.errors import InputError
from d2l_jax.runs.choice import choose_data
from d2l_jax.runs.fitting import fitted
from parity import reference
from parity.bench.conditions import cpu_threads
from parity.bench.usage import Usage, undisturbed
from parity.reference import losses
from parity.twin.torch_side import namesake

WORKERS = 4  # the book's
PROGRAMS = {"jax": "JAX", "jax_cached": "JAX, compiled before", "torch": "PyTorch, notes' way"}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class WholeRun:
    """Seconds and final test accuracy of each program of `PROGRAMS`.

    others: CPUs that other processes used meanwhile
    """

    name: str
    batch: int
    epochs: int
    source: str
    seconds: dict[str, float] = field(default_factory=dict)
    accuracies: dict[str, float] = field(default_factory=dict)
    others: dict[str, float | None] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return "ok" if all(undisturbed(others) for others in self.others.values()) else "disturbed"

    def ratio(self, program: str) -> float | None:
        """PyTorch's time over that of JAX's `program`; None if others used the machine during either."""
        if not all(undisturbed(self.others[name]) for name in ("torch", program)):
            return None
        return self.seconds["torch"] / self.seconds[program]


def whole_run(
    case: Case,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    data: str | None = None,
    tell: Tell = lambda stage: None,
) -> WholeRun:
    """Trains a classifier of images three times on the CPU, each in a fresh process.

    data: the name of a data set, else the case's own
    Raises InputError for another kind of model, or where a process fails.
    """
    case = replace(case.of_batch_size(batch_size or case.batch_size), epochs=epochs or case.epochs)
    images = bool(case.arrays) and case.arrays[0].is_image
    if not images or "accuracy" not in case.metrics or case.objective.penalty or case.turn.clip:
        raise InputError(f"{case.name} has no DataLoader in the notes' way; a classifier of images is right")
    dataset = choose_data(case, data)
    case = fitted(case, dataset)
    raw = choose_data(replace(case, resize=None), data) if case.resize else dataset
    result = WholeRun(case.name, case.batch_size, case.epochs, dataset.source)
    with tempfile.TemporaryDirectory() as folder:
        for program, command in _commands(case, raw, data, Path(folder)):
            tell(PROGRAMS.get(program, "filling the cache"))
            seconds, output, others = _timed(command)
            if program in PROGRAMS:
                result.seconds[program] = seconds
                result.others[program] = others
                result.accuracies[program] = _accuracy(output)
    return result


def _commands(case: Case, raw: Dataset, data: str | None, folder: Path) -> list[tuple[str, list[str]]]:
    """JAX's second run with a cache finds everything compiled; the first, which fills it, does not count."""
    write_recipe(case, raw, folder)
    train = ["-m", "d2l_jax", "train", case.name, "--epochs", str(case.epochs), "--batch-size", str(case.batch_size)]
    train += ["--json", "-", *(["--data", data] if data else [])]
    cache = ["--compilation-cache", str(folder / "compiled")]
    return [
        ("jax", [*train, "--out", str(folder / "1")]),
        ("fill", [*train, "--out", str(folder / "2"), *cache]),
        ("jax_cached", [*train, "--out", str(folder / "3"), *cache]),
        ("torch", ["-m", "parity.bench.notes_way", str(folder)]),
    ]


def write_recipe(case: Case, data: Dataset, folder: Path) -> None:
    """Returns the recipe that `parity.bench.notes_way` reads."""
    X, y = data.train
    X_test, y_test = data.test
    np.savez(folder / "data.npz", X=X, y=y.astype(np.int64), X_test=X_test, y_test=y_test.astype(np.int64))
    recipe = {
        "model": partial(namesake(case.model, reference), **case.args),
        "loss": namesake(case.objective.loss, losses),
        "optimizer": namesake(case.turn.optimizer, torch.optim),
        "batch_size": case.batch_size,
        "epochs": case.epochs,
        "resize": case.resize,
        "workers": WORKERS,
        "threads": cpu_threads(),
    }
    with open(folder / "recipe.pickle", "wb") as file:
        pickle.dump(recipe, file)


def _timed(command: Sequence[str]) -> tuple[float, str, float | None]:
    """(seconds, standard output, CPUs that others used)."""
    before = Usage.now()
    start = time.perf_counter()
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # the user's: what is compiled must be timed
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"python {' '.join(command[:4])} failed: {last}")
    return seconds, done.stdout, Usage.now().others_since(before)


def _accuracy(output: str) -> float:
    """Returns the accuracy of `metrics.json`, or of the notes' way, which prints nothing else."""
    printed = json.loads(output)
    return printed if isinstance(printed, float) else printed["final"]["test_accuracy"]
