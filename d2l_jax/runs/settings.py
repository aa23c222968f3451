"""What a training run is told, and the Case and the settings that follow from it."""

import json
import math
import zlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
from tyro.conf import FlagCreatePairsOff, Positional, arg

from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.data import Dataset
from d2l_jax.errors import InputError

Own = arg(help_behavior_hint="(default: the book's)")


@dataclass(frozen=True)
class Options:
    """A training run as it is asked for; None takes the book's setting."""

    name: Annotated[Positional[str], arg(metavar="NAME")]
    """The model, as `d2l-jax list` calls it."""
    data: Annotated[str | None, Own, arg(metavar="NAME|DIR")] = None
    """A data set by name, or the folder that holds it."""
    epochs: Annotated[int | None, Own, arg(metavar="N")] = None
    """Epochs in all, those of a resumed run included."""
    batch_size: Annotated[int | None, Own, arg(metavar="N")] = None
    """Examples in a batch."""
    image_size: Annotated[int | None, Own, arg(metavar="N")] = None
    """Pixels on a side; the images are resized, and the model is made for them."""
    lr: Annotated[float | None, Own, arg(metavar="X")] = None
    """Learning rate."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Of the initial weights, the batches and dropout; the data stays the same."""
    out: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: runs/NAME)")] = None
    """Folder for the results."""
    resume: FlagCreatePairsOff[bool] = False
    """Go on from the last good checkpoint in that folder, under the same settings."""
    framework: Literal["jax", "torch"] = "jax"
    """torch trains the PyTorch twin, from the same weights on the same batches."""
    download: FlagCreatePairsOff[bool] = False
    """Fetch the data set if it is found nowhere."""
    compilation_cache: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: none)")] = None
    """Folder in which compiled programs are kept for later runs."""


def configured(options: Options) -> Case:
    """The Case of that name, with the options in the place of its own settings; InputError if one is wrong."""
    case = get(options.name)
    if not case.data:
        raise InputError(f"{case.name} is a building block and has no data to train on")
    if options.epochs is not None:
        case = replace(case, epochs=_at_least("epochs", options.epochs, 1))
    if options.batch_size is not None:
        case = case.of_batch_size(_at_least("batch-size", options.batch_size, 1))
    if options.image_size is not None:
        case = _of_image_size(case, _at_least("image-size", options.image_size, 1))
    if options.lr is not None:
        if not (math.isfinite(options.lr) and options.lr > 0):
            raise InputError(f"--lr {options.lr} is no learning rate; give a number above 0")
        case = case.with_turn(optimizer=partial(case.turn.optimizer, lr=options.lr))
    _at_least("seed", options.seed, 0)
    return case


def _of_image_size(case: Case, size: int) -> Case:
    if not case.arrays[0].is_image:
        raise InputError(f"{case.name} takes no images; leave --image-size out")
    batch, _, _, channels = case.arrays[0].shape
    sized = {name: (size, size) for name in ("image_size", "img_size") if name in case.args | case.probe}
    return replace(case, inputs=(batch, size, size, channels), resize=(size, size), args=case.args | sized)


def _at_least(option: str, value: int, least: int) -> int:
    if value < least:
        raise InputError(f"--{option} {value} is too small; give {least} or more")
    return value


def settings(case: Case, data: Dataset, seed: int, framework: str) -> dict[str, Any]:
    """Everything that the figures of an epoch depend on, as JSON holds it."""
    known = {
        "model": case.name,
        "args": case.args,
        "framework": framework,
        "seed": seed,
        "batch_size": case.batch_size,
        "loss": case.objective.loss,
        "penalty": case.objective.penalty,
        "clip": case.turn.clip,
        "optimizer": name_of(case.turn.optimizer),
        **getattr(case.turn.optimizer, "keywords", {}),
        "data": data.name,
        "data_crc32": data_crc32(data),
        "resize": case.resize,
    }
    return json.loads(json.dumps(known, default=_plain))


def name_of(function: Any) -> str:
    """The name of a function, whether or not arguments are bound to it."""
    return getattr(function, "func", function).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, partial):
        return [value.func.__name__, *value.args, value.keywords]
    return getattr(value, "__name__", str(value))


def data_crc32(data: Dataset) -> int:
    """A checksum of all examples."""
    value = 0
    for array in jax.tree.leaves((data.train, data.test)):
        value = zlib.crc32(array.tobytes(), value)
    return value
