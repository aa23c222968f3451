"""PyTorch's step with another epsilon: what it explains is none of the digits that constants are known to."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

from parity.arrays.key import Record
from parity.blame.diagnosis.functions.altering import Altering, Choice
from parity.blame.diagnosis.functions.alternative import Alternative, Alternatives, FunctionCall
from parity.blame.diagnosis.functions.table import alternatives_of
from parity.blame.diagnosis.functions.trials import function_trials
from parity.sides.torch import TorchRun
from parity.twin.twin import State

MOST = 24  # runs of a step
FUNCTIONS = ("add", "radd", "iadd", "sqrt", "rsqrt", "layer_norm", "rms_norm", "group_norm", "batch_norm", "normalize")


def with_other_epsilons(run: TorchRun, number: int, state: State) -> Iterator[Record]:
    """Yields the record of PyTorch's step of that number with another epsilon, in all calls alike or in one."""

    def taken(choice: Choice) -> tuple[Record, Altering]:
        mode = Altering(run.model, choice, find=_find)
        with mode.running():
            return run.taken(number, state), mode

    yield from (record for _, _, record, _ in islice(function_trials(taken), MOST))


def _find(name: str, right: bool) -> Alternatives | None:
    source = alternatives_of(name) if name in FUNCTIONS else None
    return source and partial(_epsilons, source)


def _epsilons(source: Alternatives, call: FunctionCall) -> Iterator[Alternative]:
    return (each for each in source(call) if each.cause == "eps")
