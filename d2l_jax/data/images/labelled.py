"""Pictures with classes: a folder for each, or a csv file of labels as Kaggle has it."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from d2l_jax.data.files import Files, read_text
from d2l_jax.errors import InputError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".webp")
LABELS = ("trainLabels.csv", "labels.csv")
TESTED = ("test", "val", "valid")

Labelled = list[tuple[str, str]]  # a file's name, and its class


class Split(NamedTuple):
    """Pictures by name with their classes, some to train on and some to test on."""

    train: Labelled
    test: Labelled


def by_folder(files: Files) -> Split | None:
    """Lists `train/CLASS/*` and `test/CLASS/*` (or val), wherever these two folders stand; None without a train.

    Raises InputError where train has no folders with pictures, or test is missing or has other classes.
    """
    tops = {name[: name.index("train/")] for name in files.names if name.startswith("train/") or "/train/" in name}
    if not tops:
        return None
    top = min(tops, key=len)
    train = _classes(files, f"{top}train/")
    if not train:
        raise InputError(f"{files.where} has no folders of classes in {top}train; train/CLASS/*.jpg is right")
    tests = {part: _classes(files, f"{top}{part}/") for part in TESTED}
    part = next((part for part, listed in tests.items() if listed), None)
    if part is None:
        raise InputError(f"{files.where} has no folders of classes in {top}test; test/CLASS/*.jpg is right")
    known, tested = ({label for _, label in each} for each in (train, tests[part]))
    if other := sorted(tested - known):
        raise InputError(f"{files.where} has a class {other[0]} in {part} that train lacks; the same classes are right")
    return Split(train, tests[part])


def by_csv(files: Files, valid_ratio: float = 0.1) -> Split | None:
    """Lists `train/ID.png` (or another format) with the labels of a csv file, id and label in a row; None without one.

    Of each class as many pictures are held out as `valid_ratio` of the smallest class, at least one: the first of the
    csv file (book, section 14.13).
    Raises InputError where the csv file is garbled or has two rows for a picture, or a picture is missing, or none is
    left to train on.
    """
    table = next((name for name in files.names if name.rpartition("/")[2] in LABELS), None)
    if table is None:
        return None
    top = table.rpartition("/")[0]
    pictures = {}
    for name in files.names:
        folder, _, file = name.rpartition("/")
        stem, _, end = file.rpartition(".")
        if folder == f"{top}/train".lstrip("/") and f".{end.lower()}" in PICTURES:
            pictures[stem] = name
    rows = _rows(files, table)
    missing = [number for number, _ in rows if number not in pictures]
    if missing:
        raise InputError(f"{files.where}: {table} names a picture {missing[0]} that train lacks")
    split = held_out([(pictures[number], label) for number, label in rows], valid_ratio)
    if not split.train:
        raise InputError(f"{files.where}: {table} has one picture of each class, to test on; two or more are right")
    return split


def held_out(labelled: Labelled, valid_ratio: float) -> Split:
    """Holds out the first of each class, as many as `valid_ratio` of the smallest class, at least one."""
    smallest = min(Counter(label for _, label in labelled).values())
    count = max(1, int(smallest * valid_ratio))
    seen = Counter[str]()
    split = Split([], [])
    for name, label in labelled:
        (split.test if seen[label] < count else split.train).append((name, label))
        seen[label] += 1
    return split


def class_names(labelled: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Returns the names of the classes, sorted: a class's number is its place."""
    return tuple(sorted({label for _, label in labelled}))


def _classes(files: Files, folder: str) -> Labelled:
    """Lists the pictures in the folders right below one."""
    inside = [name for name in files.names if name.startswith(folder) and name.lower().endswith(PICTURES)]
    parts = [(name, name.removeprefix(folder).split("/")) for name in inside]
    return [(name, part[0]) for name, part in parts if len(part) == 2]


def _rows(files: Files, table: str) -> Labelled:
    """Returns (id, label) of each row behind the heading."""
    text = read_text(files, table)
    try:
        lines = list(csv.reader(io.StringIO(text)))[1:]
        rows = [(number, label) for number, label in (line for line in lines if line)]
    except (csv.Error, ValueError) as error:
        raise InputError(
            f"{files.where}: {table} is garbled; rows of id and label below a heading are right"
        ) from error
    if not rows:
        raise InputError(f"{files.where}: {table} has no rows; one of id and label for each picture is right")
    if twice := [number for number, count in Counter(number for number, _ in rows).items() if count > 1]:
        raise InputError(f"{files.where}: {table} has two rows for {twice[0]}; one label for each picture is right")
    return rows
