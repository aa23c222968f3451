"""Tables of text cells as matrices, by the rules of pandas' read_csv and get_dummies."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_jax.errors import InputError

# pandas/_libs/parsers.pyx, STR_NA_VALUES: the cells that read_csv reads as missing.
MISSING = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"]
    + ["<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)


class Table(NamedTuple):
    """A csv file: its columns by name, in file order, every cell as text, and its path."""

    columns: dict[str, list[str]]
    path: Path


def read_csv(path: Path) -> Table:
    """Reads a csv file with a header line.

    Raises:
      InputError: the file cannot be read, holds no row, or a row has another length than the header.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no csv file: {error}") from error
    if len(rows) < 2:
        raise InputError(f"{path} holds no data; a header line and at least one row are needed")
    if len(set(rows[0])) != len(rows[0]):
        raise InputError(f"{path} names a column twice in its header; every column needs a name of its own")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]):
            raise InputError(f"{path}, row {number}: {len(row)} cells; the header has {len(rows[0])}")
    return Table(dict(zip(rows[0], map(list, zip(*rows[1:], strict=True)), strict=True)), path)


def numbers(cells: list[str]) -> np.ndarray | None:
    """The cells as float64 (N,), with NaN where missing; None where a cell is no number."""
    try:
        return np.array([np.nan if cell in MISSING else float(cell) for cell in cells])
    except ValueError:
        return None


def standardised(column: np.ndarray) -> np.ndarray:
    """The column as (x - mean) / sample standard deviation, both over the cells that are not NaN; 0 where they are."""
    known = column[~np.isnan(column)]
    spread = known.std(ddof=1) if len(known) > 1 else 0.0
    if spread == 0:
        return np.zeros_like(column)
    return np.nan_to_num((column - known.mean()) / spread, nan=0.0)


def one_hot(cells: list[str]) -> np.ndarray:
    """The cells as float64 (N, categories + 1), one-hot: the categories in sorted order, then "is missing"."""
    values = sorted(set(cells) - MISSING)
    place = {value: i for i, value in enumerate(values)}
    return np.eye(len(values) + 1)[[place.get(cell, len(values)) for cell in cells]]
