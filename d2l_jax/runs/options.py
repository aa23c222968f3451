"""The options of `d2l-jax train`; they stand apart because `--help` needs nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from d2l_jax.errors import InputError

BOOKS = arg(help_behavior_hint="(default: the book's)")


@dataclass(frozen=True)
class Options:
    """A training run as a user calls for it; None takes the book's setting."""

    name: Annotated[Positional[str], arg(metavar="NAME")]
    """The model, as `d2l-jax list` calls it."""
    data: Annotated[str | None, BOOKS, arg(metavar="NAME|DIR")] = None
    """A data set by name, or the folder that holds it."""
    epochs: Annotated[int | None, BOOKS, arg(metavar="N")] = None
    """Epochs in all, those of a resumed run included."""
    batch_size: Annotated[int | None, BOOKS, arg(metavar="N")] = None
    """Examples in a batch."""
    buckets: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: all texts are padded alike)")] = None
    """Texts of like length together, padded to N lengths; each is compiled once."""
    image_size: Annotated[int | None, BOOKS, arg(metavar="N")] = None
    """Pixels on a side; the images are resized, and the model is made for them."""
    lr: Annotated[float | None, BOOKS, arg(metavar="X")] = None
    """Learning rate."""
    weights: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """State dict (.safetensors) to start from; layers of another shape, as a new head, stay new."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Seed of the initial weights, the batches and dropout; the data stays the same."""
    out: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: runs/NAME)")] = None
    """Folder for the results."""
    resume: FlagCreatePairsOff[bool] = False
    """Go on from the last good checkpoint in that folder, under the same settings."""
    framework: Literal["jax", "torch"] = "jax"
    """torch trains the PyTorch twin, from the same weights on the same batches."""
    devices: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: one)")] = None
    """Devices that share every batch, in each process; on a CPU they are virtual."""
    batch_norm: Annotated[Literal["synchronised", "per-replica"], arg(metavar="KIND")] = "synchronised"
    """On several devices: synchronised takes statistics of the whole batch, per-replica of a device's share."""
    processes: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: this one)")] = None
    """Processes that train together, all of their devices sharing every batch. They are started here, unless Slurm
    has started them, or the next two options say that this is one of them."""
    process_id: Annotated[int | None, arg(metavar="I", help_behavior_hint="")] = None
    """The number of this process, from 0 (or JAX_PROCESS_ID); the first writes the files."""
    coordinator: Annotated[str | None, arg(metavar="HOST:PORT", help_behavior_hint="")] = None
    """The address at which process 0 meets the others (or JAX_COORDINATOR_ADDRESS)."""
    download: FlagCreatePairsOff[bool] = False
    """Fetch the data set if it is found nowhere."""
    compilation_cache: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: none)")] = None
    """Folder in which compiled programs are kept for later runs."""


def folder_of(options: Options) -> Path:
    """Returns the folder for the results."""
    return options.out or Path("runs") / options.name


def refuse(options: Options, names: Iterable[str], why: str) -> None:
    """Raises InputError for one of these options that is given; `why` says what the case does without it."""
    for name in names:
        if getattr(options, name):
            raise InputError(f"{options.name} {why}; leave --{name.replace('_', '-')} out")
