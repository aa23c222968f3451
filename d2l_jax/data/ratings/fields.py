"""Fields of categories as numbers, for the clicks on advertisements (book, section 21.8)."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from d2l_jax.errors import InputError

MIN_THRESHOLD = 4
Columns = Sequence[np.ndarray]  # a field each, of text (rows,)


class Fields(NamedTuple):
    """The values of each field that have a number of their own; all others of a field share its last number.

    names:  of the fields
    values: of each field, sorted as text, (values,)
    """

    names: tuple[str, ...]
    values: tuple[np.ndarray, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of each field, that of rare and unseen values included."""
        return tuple(len(known) + 1 for known in self.values)

    def encode(self, columns: Columns, rare: bool = True) -> np.ndarray:
        """Returns the columns as numbers, those of a field behind those of the fields before: int32 (rows, fields).

        rare: values that have no number take the last one of their field

        Raises:
          InputError: there are more or fewer columns than fields, or `rare` is not allowed and a value has no number.
        """
        if len(columns) != len(self.names):
            raise InputError(f"{len(columns)} fields; {len(self.names)} are right: {', '.join(self.names)[:80]}")
        if uneven := [len(column) for column in columns if len(column) != len(columns[0])]:
            raise InputError(f"fields of {len(columns[0])} and of {uneven[0]} rows; as many of each are right")
        numbers = np.empty((len(columns[0]), len(columns)), np.int32)
        start = 0
        for place, (name, known, column) in enumerate(zip(self.names, self.values, columns)):
            places = {value: number for number, value in enumerate(known.tolist())}
            found = np.array([places.get(value, len(known)) for value in column.tolist()], np.int32)
            there = found < len(known)
            if not rare and not there.all():
                row = int(np.argmin(there))
                some = f"one as {', '.join(map(str, known[:4]))} is right" if len(known) else "no value has a number"
                raise InputError(f"row {row + 1}, {name}: {str(column[row])!r} was never seen; {some}")
            numbers[:, place] = start + found
            start += len(known) + 1
        return numbers


def learn_fields(columns: Columns, names: Sequence[str], min_threshold: int = MIN_THRESHOLD) -> Fields:
    """Returns the fields of the examples to train on: values that occur `min_threshold` times or more get a number."""
    values = []
    for column in columns:
        counts = Counter(column.tolist())
        values.append(np.array(sorted(value for value, count in counts.items() if count >= min_threshold), str))
    return Fields(tuple(names), tuple(values))
