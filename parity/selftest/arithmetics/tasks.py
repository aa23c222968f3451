"""Tasks whose verdicts are compared."""

from collections.abc import Sequence

from d2l_jax.catalog import CASES
from d2l_jax.errors import InputError
from parity.selftest.run import TaskName, all_tasks

# Cases that come nearest to a limit, and one of each kind.
CHOSEN = (
    *("gan", "additive-attention", "bn-lenet-scratch", "resnet18", "densenet", "regnetx32", "mobilenet-v2"),
    *("bahdanau", "transformer", "gru-lm", "seq2seq", "vit", "bn-lenet"),
)
KINDS = {"pairs": "pair", "cases": "case", "bugs": "bug"}


def tasks(names: Sequence[str]) -> list[TaskName]:
    """Returns the selftest's pairs, cases and bugs; or those named, and all that a word of KINDS stands for.

    Raises InputError for a name that nothing has.
    """
    small = [task for task in all_tasks() if task[0] != "case"]
    every: list[TaskName] = [*(("case", name, 0) for name in CHOSEN), *small]
    if not names:
        return every
    others: list[TaskName] = [("case", case.name, 0) for case in CASES if case.name not in CHOSEN]
    chosen: dict[TaskName, None] = {}
    for name in names:
        fitting = [task for task in every if task[0] == KINDS.get(name)]
        fitting = fitting or [task for task in every + others if task[1] == name]
        if not fitting:
            raise InputError(f"no case, correct pair or bug is named {name!r}; `d2l-jax list` shows the cases")
        chosen |= dict.fromkeys(fitting)
    return list(chosen)
