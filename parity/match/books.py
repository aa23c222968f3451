"""Which rows of PyTorch's tensors, and which of Flax's variables, have a counterpart."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from d2l_jax.weights.leaf import Leaf, along, axis_of, rows_of, without_ones
from parity.match.fitting import counter
from parity.match.flax_layers import Variable, Variables
from parity.match.torch_layers import Recorded


class Books:
    """Keeps account of the rows of PyTorch's tensors and of Flax's variables that have a counterpart."""

    def __init__(self, recorded: Recorded, variables: Variables, leaves: list[Leaf]):
        self.recorded = recorded
        self.variables = variables
        self.leaves = []
        self.spread = False  # tells if a recurrent layer was paired with dense layers, by names
        axes = {key: axis_of(leaf.rows) for leaf in leaves for name in leaf.keys for key in recorded.aliases[name]}
        self.rows = {key: _none_of(array.shape, axes.get(key, 0)) for key, array in recorded.arrays.items()}
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf: Leaf) -> None:
        self.leaves.append(leaf)
        for key in (leaf.key, *leaf.merged):
            if leaf.rows and not self.rows[key].any():  # counted along this axis from now on
                self.rows[key] = _none_of(self.recorded.arrays[key].shape, axis_of(leaf.rows))
            self.rows[key][_numbers(self.rows[key], leaf)] = True

    def unpaired(self) -> list[str]:
        """Lists tensors of which no row has a counterpart, counters aside; a shared tensor has one if any key has."""
        return [
            key
            for key, rows in self.rows.items()
            if not any(self.rows[alias].any() for alias in self.recorded.aliases[key]) and not self.optional(key)
        ]

    def optional(self, key: str) -> bool:
        return counter(self.recorded.arrays[key])

    def unpaired_variables(self) -> list[Variable]:
        """Lists the variables of Flax's without a counterpart."""
        done = {leaf.path for leaf in self.leaves}
        return [variable for path, variable in self.variables.all.items() if path not in done]

    def problems(self, constants: Collection[Any] = ()) -> Iterator[str]:
        """Lists what has no counterpart; `constants`: keys and paths of what one model may hold alone."""
        for key, rows in self.rows.items():
            if self.optional(key) or rows.all() or key in constants and not rows.any():
                continue
            shape = self.recorded.arrays[key].shape
            some = f" rows {', '.join(map(str, _runs(~rows)))}" if rows.any() else ""
            yield f"only in PyTorch: {key} {shape}{some}"
        for variable in (v for v in self.unpaired_variables() if v.path not in constants):
            yield f"only in Flax: {'.'.join(map(str, variable.path))} {variable.shape}"


def _none_of(shape: tuple[int, ...], axis: int) -> np.ndarray:
    return np.zeros(shape[axis] if axis else without_ones(shape)[:1] or 1, bool)


def _numbers(rows: np.ndarray, leaf: Leaf) -> np.ndarray:
    return rows_of(np.arange(len(rows)), along(leaf.rows))


def _runs(rows: np.ndarray) -> list[str]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(int)))
    return [f"{first} to {end - 1}" for first, end in zip(edges[::2], edges[1::2])]
