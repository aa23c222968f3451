"""One training run of a Case: data, training, and a folder of results with `checkpoints` to resume from."""

import contextlib
import platform
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from d2l_jax.case import Case
from d2l_jax.data import BatchOrder, Dataset, batch_order
from d2l_jax.errors import InputError
from d2l_jax.runs.augmented import AUGMENTED, draw_augmented
from d2l_jax.runs.boxes import Sightings
from d2l_jax.runs.finished import write_vocabs
from d2l_jax.runs.learner import JaxLearner, Learner
from d2l_jax.runs.recommended import told
from d2l_jax.runs.results import ATTENTION, METRICS, Figures, RunResult, best, described, figures, write_results
from d2l_jax.runs.samples import sample_of
from d2l_jax.runs.sentences import draw_alignment
from d2l_jax.runs.settings import name_of, of_replicas, settings
from d2l_jax.runs.texts import Texts
from d2l_jax.train import Event, TrainingDiverged
from d2l_jax.train.checkpoint import FOLDER, epochs_in
from d2l_jax.train.devices import leads
from d2l_jax.train.parallel import Devices
from d2l_jax.weights import file
from d2l_jax.write import explained, write_json

KEPT = 2  # last checkpoints that stay, beside the best


class Job(NamedTuple):
    """A run whose parts fit together.

    case:      with the settings of this run
    data:      what `case` is trained and tested on
    out:       folder for the results
    seed:      of the weights, batches and dropout
    framework: "jax", or "torch" for the twin
    resume:    continue from the last good checkpoint in `out`
    devices:   several that share every batch, and perhaps processes; None is one
    """

    case: Case
    data: Dataset
    out: Path
    seed: int = 0
    framework: str = "jax"
    resume: bool = False
    devices: Devices | None = None

    def order(self, epoch: int) -> BatchOrder:
        """The batches of an epoch, the same in either framework and in a resumed run."""
        return batch_order(self.data.examples, self.case.batch_size, seed=self.seed, epoch=epoch)


class Listener:
    """The news of a run while it is under way; this one keeps silent."""

    def line(self, text: str) -> None:
        """A line for the user."""

    def begin(self, epochs: int) -> None:
        """Training starts; it ends after epoch number `epochs`."""

    def event(self, event: Event) -> None:
        """A piece of an epoch is done."""


SILENT = Listener()


def train(job: Job, listener: Listener = SILENT) -> RunResult:
    """Runs the job and leaves its files in its folder; of several processes, the first does.

    Raises InputError where the folder cannot be written, holds a run that is not to be resumed, or one
    that cannot be; and TrainingDiverged at a loss that is not finite. The checkpoints stay as they are.
    """
    refuse_overwriting(job.out, job.resume)
    run = _Run(job, listener)
    first = run.begin()
    try:
        run.learner.fit(job.data, job.order, range(first, job.case.epochs + 1), (run.hear, listener.event))
    except TrainingDiverged as error:
        saved = f"the last good checkpoint is {run.saved}" if run.saved else "no checkpoint was saved before"
        with contextlib.suppress(OSError):  # a folder that is not empty stays
            job.out.rmdir()
        raise TrainingDiverged(f"{error}; lower --lr ({saved})") from error
    return run.end()


def refuse_overwriting(out: Path, resume: bool) -> None:
    """Raises InputError if `out` holds a run that is not to be resumed, or none that could be."""
    if holds_run(out) and not resume:
        raise InputError(f"{out} holds a run already; continue it with --resume, or give another --out")
    if resume and not holds_run(out):
        raise InputError(f"{out} holds no checkpoint to resume from; start without --resume")


def refuse_fewer(out: Path, done: int, epochs: int) -> None:
    """Raises InputError if a run has taken more epochs than it is to take in all."""
    if done > epochs:
        raise InputError(f"{out} has {done} epochs already, more than --epochs {epochs}")


def holds_run(out: Path) -> bool:
    """Tells whether a run left anything in `out`."""
    return (out / METRICS).exists() or bool(epochs_in(out / FOLDER)) or any(out.glob("fold-*"))


def learner_of(framework: str, devices: Devices | None = None) -> Callable[[Case, int], Learner]:
    """Returns (case, seed) -> the learner of "jax" or "torch"; InputError where PyTorch is not installed."""
    if framework == "jax":
        return partial(JaxLearner, devices=devices)
    if devices is not None:
        raise InputError(f"--framework {framework} trains on one device; leave --devices and --processes out")
    return twin_learner(framework)


def twin_learner(framework: str) -> Any:
    """Returns the class that trains the twins in another framework; InputError where that is not installed."""
    # Another package brings it: this one has never heard of PyTorch.
    learners = entry_points(group="d2l_jax.learners", name=framework)
    try:
        return next(iter(learners)).load()
    except (StopIteration, ModuleNotFoundError) as error:
        if getattr(error, "name", "torch") != "torch":
            raise
        raise InputError(f"--framework {framework} needs PyTorch: pip install 'd2l-jax[parity]'") from error
    except (ImportError, OSError) as error:
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"--framework {framework}: PyTorch is installed, but does not load: {told}") from error


class _Run:
    """A job under way: its learner, its records so far, and its last checkpoint."""

    def __init__(self, job: Job, listener: Listener):
        self.job = job
        self.listener = listener
        self.learner = learner_of(job.framework, job.devices)(job.case, job.seed)
        self.settings = settings(job.case, job.data, job.seed, job.framework) | of_replicas(job.devices)
        self.versions = {"python": platform.python_version(), **self.learner.versions}
        self.records: list[Figures] = []
        self.seconds: list[float] = []
        self.saved: Path | None = None

    def begin(self) -> int:
        """Tells what will run, takes up what is to be resumed, and returns the number of the first epoch."""
        job = self.job
        epochs = job.case.epochs
        if job.resume:
            self.saved, meta = self.learner.resume(job.out / FOLDER, self.settings)
            self.records = meta["records"]
            self.seconds = meta["seconds"]
        refuse_fewer(job.out, len(self.records), epochs)
        with explained(job.out):
            job.out.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=job.out).close()
            if job.data.vocabs and leads():
                write_vocabs(job.data.vocabs, job.out)
        self._introduce()
        self.listener.begin(epochs)
        self.since = time.perf_counter()
        return len(self.records) + 1

    def _introduce(self) -> None:
        data = self.job.data
        learner = self.learner
        sizes = f"{data.examples:,} examples to train on, {data.held_out:,} to test on"
        self.listener.line(f"data      {data.name}: {data.source}; {sizes}")
        self.listener.line(f"device    {learner.device}, {learner.precision}")
        self.listener.line("versions  " + ", ".join(f"{name} {number}" for name, number in self.versions.items()))
        self.listener.line(f"model     {_description(self.job)}, {learner.parameters:,} parameters")
        if self.records:
            self.listener.line(f"resumed   from {self.saved}")

    def hear(self, event: Event) -> None:
        """At the end of an epoch: a record, a checkpoint, the metrics so far, and a line."""
        if event.means is None:
            return
        job = self.job
        self.records.append(figures(event.means))
        self.seconds.append(round(time.perf_counter() - self.since, 3))
        meta = {"settings": self.settings, "records": self.records, "seconds": self.seconds}
        keep = [*range(event.epoch - KEPT + 1, event.epoch), best(self.records)["epoch"]]
        if leads():
            self.saved = self.learner.save(job.out / FOLDER, event.epoch, meta, keep)
            write_json(job.out / METRICS, self.metrics())
        number = f"{event.epoch:{len(str(job.case.epochs))}}/{job.case.epochs}"
        self.listener.line(f"epoch {number}  {described(self.records[-1])}  {self.seconds[-1]:.1f} s")
        self.since = time.perf_counter()

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json` after the epochs so far."""
        case = self.job.case
        data = self.job.data
        learner = self.learner
        sizes = {"train": data.examples, "test": data.held_out}
        return {
            "model": case.name,
            "section": case.section,
            "framework": self.job.framework,
            "epochs": case.epochs,
            "settings": self.settings,
            "data": {"name": data.name, "source": data.source, **sizes},
            "parameters": learner.parameters,
            "device": learner.device,
            "precision": learner.precision,
            "versions": self.versions,
            "best": best(self.records),
            "final": self.records[-1],
            "seconds": {"total": round(sum(self.seconds), 3), "epochs": self.seconds},
            "records": self.records,
        }

    def end(self) -> RunResult:
        """Draws the pictures, and tells which files there are; of several processes, the first does."""
        if not leads():
            return RunResult(self.metrics(), (np.zeros(0), np.zeros(0)))
        result = RunResult(self.metrics(), sample_of(self.job.case, self.job.data, self.learner))
        if isinstance(result.sample, Texts):
            result.metrics["texts"] = [text._asdict() for text in result.sample.samples]
            for text in result.sample.samples:
                self.listener.line(f"text      {text}")
        if isinstance(result.sample, Sightings):
            self.listener.line(f"boxes     {result.sample}")
        if shown := told(self.job.data, self.learner.trained(), self.records[-1]):
            result.metrics["result"] = shown
            self.listener.line("result    " + ", ".join(f"{name} {value:.4f}" for name, value in shown.items()))
        paths = write_results(result, self.job.data, self.job.out)
        if "num_inputs_attend" in self.job.case.args:
            paths.append(self.job.out / ATTENTION)
            draw_alignment(result.metrics, self.job.data, self.learner.trained(), paths[-1])
        if augment := self.job.case.augment:
            paths.append(self.job.out / AUGMENTED)
            draw_augmented(augment, self.job.data, self.job.seed, paths[-1])
        self.listener.line("written   " + ", ".join(map(str, [*paths, self.job.out / file.NAME, self.saved])))
        return result


def _description(job: Job) -> str:
    case = job.case
    options = [f"{name} {value}" for name, value in getattr(case.turn.optimizer, "keywords", {}).items()]
    optimizer = " ".join([name_of(case.turn.optimizer), ", ".join(options)])
    return f"{case.name} (section {case.section}), batches of {case.batch_size}, {optimizer}, seed {job.seed}"
