"""The cases as they are declared: a row of each for `d2l-jax list`, and the details of one. No weight is allocated.

`python -m d2l_jax.runs.listing`, which is `make overview`, writes the rows to the file that `d2l-jax list` prints.
"""

from collections.abc import Mapping

import jax
from flax import nnx
from rich.table import Table

from d2l_jax.case import Case
from d2l_jax.catalog import CASES
from d2l_jax.functional import Functional, Tree, functional
from d2l_jax.runs.overview import Entry, save
from d2l_jax.runs.settings import name_of


def shapes(case: Case) -> Functional:
    """Returns the model with shapes in the place of arrays."""
    return functional(nnx.eval_shape(case.build))


def rows() -> list[Entry]:
    """Computes the row of every case, in the order of the book."""
    return [_row(case) for case in CASES]


def _row(case: Case) -> Entry:
    return {
        "name": case.name,
        "section": case.section,
        "title": case.title,
        "parameters": count(shapes(case).params),
        "data": case.data or None,
        "batch_size": case.batch_size or None,
        "epochs": case.epochs if case.data else None,
    }


def count(params: Tree) -> int:
    """Counts the numbers that the arrays hold."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def details_table(case: Case) -> Table:
    """Returns every parameter and buffer with its shape, then the settings of its training."""
    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    table.add_row(case.name, f"{case.title}, section {case.section}", _places(case))
    pure = shapes(case)
    for kind, tree in (("parameter", pure.params), ("buffer", pure.buffers)):
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            table.add_row(kind, name, f"{leaf.dtype} {'x'.join(map(str, leaf.shape)) or 'scalar'}")
    table.add_row("total", f"{count(pure.params):,} parameters", "")
    for name, value in training(case).items():
        table.add_row("training", name, value)
    return table


def _places(case: Case) -> str:
    """Returns where the model stands, or each of several, or the algorithm."""
    models = case.model.values() if isinstance(case.model, Mapping) else [case.model or type(case.observe)]
    return ", ".join(f"{model.__module__}.{model.__name__}" for model in models)


def training(case: Case) -> dict[str, str]:
    """Returns the book's settings in words; empty for a building block."""
    if not case.data:
        return {}
    turn = case.turn
    objective = case.objective
    options = ", ".join(f"{name} {value}" for name, value in getattr(turn.optimizer, "keywords", {}).items())
    return {
        "data": case.data + (f", resized to {case.resize[0]}x{case.resize[1]}" if case.resize else ""),
        "batch": " and ".join("x".join(map(str, array.shape)) for array in case.arrays),
        "optimizer": f"{name_of(turn.optimizer)} ({options})",
        **({} if turn.clip is None else {"clipping": f"gradients to norm {turn.clip:g}"}),
        "loss": name_of(objective.loss) + (f" + {name_of(objective.penalty)}" if objective.penalty else ""),
        "epochs": str(case.epochs),
    }


if __name__ == "__main__":
    save(rows())
