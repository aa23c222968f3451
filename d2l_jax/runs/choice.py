"""The data of a training run: which is taken."""

import logging
import os
from pathlib import Path

from d2l_jax.case import Case
from d2l_jax.data import KNOWN, Dataset, kind_of, load, stand_in
from d2l_jax.data.find.embedded import BUILT_IN
from d2l_jax.errors import InputError

log = logging.getLogger(__name__)


def choose_data(case: Case, wanted: str | None = None, download: bool = False) -> Dataset:
    """The data set or folder that is `wanted`; else the Case's own, or the embedded one of its kind.

    Raises InputError where what was wanted, or what D2L_DATA points to, is not there or is damaged.
    """
    if wanted is None:
        return _own_data(case, download)
    if _is_folder(wanted):
        return _from_folder(case, Path(wanted))
    return load(wanted, resize=case.resize, download=download)


def _own_data(case: Case, download: bool) -> Dataset:
    try:
        return load(case.data, resize=case.resize, download=download)
    except InputError as error:
        if download or os.environ.get("D2L_DATA"):
            raise
        embedded = stand_in(case.data)
        log.warning("%s; training on %s instead", error, embedded)
        # Photographs have many sizes; what is drawn has one, which is made the model's.
        _, height, width, *_ = case.arrays[0].shape if case.augment else (0, 0, 0)
        return load(embedded, resize=case.resize or ((height, width) if height else None))


def _is_folder(wanted: str) -> bool:
    return os.sep in wanted or wanted.startswith((".", "~")) or Path(wanted).is_dir()


def _from_folder(case: Case, folder: Path) -> Dataset:
    kind = kind_of(case.data)
    try:
        dataset = load(source=folder, kind=kind, resize=case.resize)
    except InputError:
        if kind != "tabular" or case.data in BUILT_IN:
            raise
        return load(case.data, source=folder)  # another table than the kind's first
    if dataset.name == case.data or dataset.name not in KNOWN:
        return dataset
    try:  # the folder may hold several sets
        return load(case.data, source=folder, resize=case.resize)
    except InputError:
        return dataset
