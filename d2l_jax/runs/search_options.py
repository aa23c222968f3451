"""The options of `d2l-jax search`; they stand apart because `--help` needs nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

BOOKS = arg(help_behavior_hint="(default: the book's)")


@dataclass(frozen=True)
class SearchOptions:
    """A search for hyperparameters as a user calls for it."""

    name: Annotated[Positional[str], arg(metavar="NAME")]
    """The model, as `d2l-jax list` calls it."""
    space: Annotated[tuple[str, ...], arg(metavar="HYPERPARAMETER ...")] = (
        "lr=loguniform(0.01,1)",
        "batch_size=randint(32,256)",
    )
    """What is searched: lr, batch_size, or an argument of the model or of its optimiser, each as
    NAME=loguniform(low,high), NAME=randint(low,high) without high, or NAME=choice(a,b,...)."""
    first: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ...", help_behavior_hint="(default: drawn)")] = ()
    """The configuration of the first trial, such as lr=0.1 batch_size=128."""
    trials: Annotated[int, arg(metavar="N")] = 20
    """Trials in all, those of a resumed study included."""
    minutes: Annotated[float | None, arg(metavar="X", help_behavior_hint="(default: no limit)")] = None
    """Time after which what runs is stopped, that of a resumed study included."""
    workers: Annotated[int, arg(metavar="N")] = 1
    """Trials at a time, each in a process of its own; several GPUs are dealt out to them."""
    scheduler: Literal["random", "asha", "halving"] = "random"
    """random runs every trial to its end; asha stops those that are not among the best at a rung; halving gives the
    best of a rung more epochs, from scratch, as the book does."""
    eta: Annotated[int, arg(metavar="N")] = 2
    """asha and halving: the best 1/N of a rung go on, and the next one is N times as far."""
    grace: Annotated[int, arg(metavar="N")] = 2
    """asha and halving: epochs before the first rung."""
    epochs: Annotated[int | None, BOOKS, arg(metavar="N")] = None
    """Epochs of a trial that runs to its end."""
    data: Annotated[str | None, BOOKS, arg(metavar="NAME|DIR")] = None
    """A data set by name, or the folder that holds it."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Seed of what is drawn, and of the weights and batches of every trial."""
    out: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: runs/NAME-search)")] = None
    """Folder for the journal trials.jsonl, study.json and trajectory.png."""
    resume: FlagCreatePairsOff[bool] = False
    """Go on with the study in that folder, or give it more trials; what was cut off is run again."""
    storage: Annotated[str | None, arg(metavar="FILE|URL", help_behavior_hint="(default: none)")] = None
    """Search by Optuna, which keeps the study there for any number of machines: a journal FILE on a shared disk, or
    the URL of a database, as postgresql://HOST/NAME. Each machine has an --out of its own."""
    framework: Literal["jax", "torch"] = "jax"
    """torch trains the PyTorch twin."""
    download: FlagCreatePairsOff[bool] = False
    """Fetch the data set if it is found nowhere."""
