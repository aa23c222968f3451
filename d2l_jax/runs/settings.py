"""The Case and the settings that follow from the options of a training run."""

import json
import math
import zlib
from dataclasses import replace
from functools import partial
from typing import Any

import jax

from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.data import Dataset
from d2l_jax.errors import InputError
from d2l_jax.runs.options import Options
from d2l_jax.train.parallel import SYNCHRONISED, Devices


def configured(options: Options) -> Case:
    """The Case of that name, with the options in the place of its own settings; InputError if one is wrong."""
    case = get(options.name)
    if not case.data:
        raise InputError(f"{case.name} has no data to train on; `parity check` proves it on random numbers")
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
    if options.weights is not None:
        case = replace(case, weights=str(options.weights))
    _at_least("seed", options.seed, 0)
    return case


def _of_image_size(case: Case, size: int) -> Case:
    if not case.arrays[0].is_image:
        raise InputError(f"{case.name} takes no images; leave --image-size out")
    batch, _, _, channels = case.arrays[0].shape
    sized = {name: (size, size) for name in ("image_size", "img_size") if name in case.args | case.probe}
    augment = case.augment.to((size, size)) if case.augment else None
    inputs = (batch, size, size, channels)
    return replace(case, inputs=inputs, resize=(size, size), args=case.args | sized, augment=augment)


def _at_least(option: str, value: int, least: int) -> int:
    if not isinstance(value, int):  # of a search, whose spaces have other numbers, too
        raise InputError(f"--{option} {value} is no whole number; {least} or more is right, as randint and choice draw")
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
        **({"augment": [str(each) for each in case.augment]} if case.augment else {}),
        **({"widths": sorted({*data.widths[0].tolist()})} if data.widths else {}),
        **({"weights": case.weights} if case.weights else {}),
    }
    return plain(known)


def of_replicas(devices: Devices | None) -> dict[str, Any]:
    """Returns what the devices of a run change in its figures; nothing but rounding where statistics are of all.

    The statistics of a device's share depend on how many share a batch.
    """
    if devices is None or devices.batch_norm == SYNCHRONISED:
        return {}
    return {"batch_norm": devices.batch_norm, "replicas": devices.mesh.size}


def plain(value: Any) -> Any:
    """Returns the value as JSON holds it, functions by their names."""
    return json.loads(json.dumps(value, default=_plain))


def name_of(function: Any) -> str:
    """The name of a function, whether or not arguments are bound to it, or of the class of what is called like one."""
    called = getattr(function, "func", function)
    return getattr(called, "__name__", type(called).__name__)


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
