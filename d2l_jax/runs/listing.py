"""The cases as they are declared: a row of each for `d2l-jax list`. No weight is allocated.

`python -m d2l_jax.runs.listing`, which is `make overview`, writes the rows to the file that `d2l-jax list` prints.
"""

from collections.abc import Callable

import jax

from d2l_jax.abstract import abstract
from d2l_jax.case import Case
from d2l_jax.cases.editions import chinese
from d2l_jax.catalog import CASES
from d2l_jax.functional import Functional, Tree, functional
from d2l_jax.runs.overview import Entry, save


def shapes(case: Case) -> Functional:
    """Returns the model with shapes in the place of arrays."""
    return functional(abstract(case.build))


def parameters(case: Case) -> int:
    """Counts the numbers in the model's parameters."""
    return count(shapes(case).params)


def rows(counted: Callable[[Case], int] = parameters) -> list[Entry]:
    """Computes the row of every case, in the order of the book; `counted` tells how many parameters it has."""
    return [_row(case, counted(case)) for case in CASES]


def _row(case: Case, parameters: int) -> Entry:
    return {
        "name": case.name,
        "section": case.section,
        "section_zh": chinese(case.section),
        "title": case.title,
        "parameters": parameters,
        "data": case.data or None,
        "batch_size": case.batch_size or None,
        "epochs": case.epochs if case.data else None,
    }


def count(params: Tree) -> int:
    """Counts the numbers that the arrays hold."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


if __name__ == "__main__":
    save(rows())
