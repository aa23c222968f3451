"""The data of a training run: which is taken, and whether the model can learn from it."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.data import KNOWN, Dataset, load
from d2l_jax.errors import InputError
from d2l_jax.functional import eval_view, functional

DEFAULTS = {"image": "digits", "tabular": "diabetes"}

log = logging.getLogger(__name__)


def choose_data(case: Case, wanted: str | None = None, download: bool = False) -> Dataset:
    """The data set or folder that is `wanted`; else the Case's own, or the embedded one of its kind.

    Raises InputError where what was wanted, or what D2L_DATA points to, is not there or is damaged.
    """
    kind = "image" if len(case.inputs) == 4 else "tabular"
    if wanted is None:
        return _own_data(case, kind, download)
    if _is_folder(wanted):
        return _from_folder(case, Path(wanted), kind)
    return load(wanted, resize=case.resize, download=download)


def _own_data(case: Case, kind: str, download: bool) -> Dataset:
    try:
        return load(case.data, resize=case.resize, download=download)
    except InputError as error:
        if download or os.environ.get("D2L_DATA"):
            raise
        log.warning("%s; training on %s instead", error, DEFAULTS[kind])
        return load(DEFAULTS[kind], resize=case.resize)


def _is_folder(wanted: str) -> bool:
    return os.sep in wanted or wanted.startswith((".", "~")) or Path(wanted).is_dir()


def _from_folder(case: Case, folder: Path, kind: str) -> Dataset:
    found = load(source=folder, kind=kind, resize=case.resize)
    if found.name == case.data or found.name not in KNOWN:
        return found
    try:  # the folder may hold several sets
        return load(case.data, source=folder, resize=case.resize)
    except InputError:
        return found


def fitted(case: Case, data: Dataset) -> Case:
    """The Case, made for as many features as tabular `data` has; InputError if the two do not fit."""
    X, y = data.train
    _refuse_kind(case, data)
    if X.ndim == 2 and X.shape[1:] != case.inputs[1:]:
        case = _with_features(case, X.shape[1])
    elif X.shape[1:] != case.inputs[1:]:
        takes, has = ("x".join(map(str, shape)) for shape in (case.inputs[1:], X.shape[1:]))
        raise InputError(f"{case.name} takes images of {takes} (height, width, channels); {data.name} has {has}")
    if case.batch_size > len(X):
        raise InputError(f"--batch-size {case.batch_size} does not fit {len(X)} examples; give one from 1 to {len(X)}")
    if case.outputs == "scores":
        _refuse_classes(case, data.name, int(max(y.max(), data.test[1].max())) + 1)
    return case


def _refuse_kind(case: Case, data: Dataset) -> None:
    X, y = data.train
    takes = ("images" if len(case.inputs) == 4 else "a table", "labels" if case.outputs == "scores" else "numbers")
    has = ("images" if X.ndim == 4 else "a table", "labels" if np.issubdtype(y.dtype, np.integer) else "numbers")
    if takes != has:
        raise InputError(f"{case.name} learns {takes[1]} from {takes[0]}; {data.name} has {has[1]} for {has[0]}")


def _with_features(case: Case, features: int) -> Case:
    for name in ("in_features", "num_inputs"):
        if name in {**case.args, **case.probe}:
            return replace(case, args={**case.args, name: features}, inputs=(case.batch_size, features))
    raise InputError(f"{case.name} takes {case.inputs[1]} features; the data has {features}")


def _refuse_classes(case: Case, data: str, classes: int) -> None:
    pure = functional(eval_view(nnx.eval_shape(case.build)))
    images = jax.ShapeDtypeStruct((1, *case.inputs[1:]), np.float32)
    scores, _ = jax.eval_shape(pure.apply, pure.params, pure.buffers, images)
    if classes > scores.shape[-1]:
        raise InputError(f"{case.name} tells {scores.shape[-1]} classes apart; {data} has {classes}")
