"""Every bug is planted and every correct twin is left alone; the check and the anchors judge all of them."""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from parity.processes import processes
from parity.proof.proof import check_twin
from parity.result import Result
from parity.selftest.anchors import ANCHORS, differing
from parity.selftest.bug import Bug, Pair
from parity.selftest.bugs import BUGS
from parity.selftest.bugs.losses import LOSS_PAIRS
from parity.selftest.bugs.optimizers import OPTIMIZER_PAIRS
from parity.selftest.pairs import PAIRS
from parity.selftest.score import Correct, Planted, Score
from parity.twin.pairing import twin_of
from parity.twin.twin import Twin

CASES = ("resnet18", "densenet")
CASE_STEPS = 2
SEEDS = (0, 1)
TaskName = tuple[str, str, int]


def selftest(
    jobs: int = 1, progress: Callable[[Iterable, int], Iterable] = lambda results, total: results, tasks: Sequence = ()
) -> Score:
    """Plants every bug, leaves every correct twin alone, and says what the check and the anchors made of them.

    jobs:     processes that work side by side
    progress: is given the results one by one, and their number, and hands them on
    tasks:    of `all_tasks`; () is all of them

    Raises InputError for less than one job.
    """
    if jobs < 1:
        raise InputError(f"--jobs {jobs} is too few; 1 or more is right")
    chosen = list(tasks) or all_tasks()
    results = list(progress(_results(chosen, jobs), len(chosen)))
    return Score([x for x in results if isinstance(x, Planted)], [x for x in results if isinstance(x, Correct)])


def all_tasks() -> list[TaskName]:
    """Lists ("case" | "pair" | "bug", its name, a seed); those that take long come first."""
    small = [("pair", pair.name, seed) for seed in SEEDS for pair in pairs().values() if not seed or pair in PAIRS]
    return [*(("case", name, 0) for name in CASES), *small, *(("bug", bug.name, 0) for bug in BUGS)]


def pairs() -> dict[str, Pair]:
    """Returns all correct pairs by name."""
    return {pair.name: pair for pair in (*PAIRS, *LOSS_PAIRS, *OPTIMIZER_PAIRS)}


def _results(tasks: Sequence[TaskName], jobs: int) -> Iterator[Planted | Correct]:
    if jobs == 1:
        yield from map(perform, tasks)
        return
    with processes(jobs) as pool:
        yield from pool.map(perform, tasks)


def perform(task: TaskName) -> Planted | Correct:
    """Performs one task, by names, so that another process can do it."""
    kind, name, seed = task
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what bugs do
        if kind == "bug":
            return _planted(next(bug for bug in BUGS if bug.name == name))
        return _correct(name, twin_of(get(name), steps=CASE_STEPS) if kind == "case" else pairs()[name].twin(seed=seed))


def _correct(name: str, twin: Twin) -> Correct:
    start = time.perf_counter()
    result = check_twin(twin)
    wrong = [str(row.key) for rows in result.rows.values() for row in rows if not row.passed]
    alarm = "" if result.status == "pass" else ", ".join(wrong) or result.error or "nothing was compared"
    return Correct(name, alarm, tuple(differing(twin)), round(time.perf_counter() - start, 2))


def _planted(bug: Bug) -> Planted:
    start = time.perf_counter()
    try:
        twin = bug.twin()
        result = check_twin(twin, tiers=bug.tiers)
    except InputError as error:  # what keeps a twin from being made keeps an anchor's tool from comparing
        return _scored(bug, start, Result(bug.pair.name, "", 0, error=str(error)), [anchor.name for anchor in ANCHORS])
    return _scored(bug, start, result, differing(twin))


def _scored(bug: Bug, start: float, result: Result, anchors: list[str]) -> Planted:
    if result.error:
        layer = bug.place if (bug.place or "output") in result.error else "?"
        cause = next((cause for cause in bug.causes if cause in result.error), "")
        text = result.error
    else:
        blame = result.blame
        layer, cause, text = (blame.layer, blame.cause, blame.text) if blame else ("?", "", "")
    caught = result.status in ("fail", "error")
    placed = caught and layer == bug.place
    named = caught and cause in bug.causes
    seconds = round(time.perf_counter() - start, 2)
    planted = (bug.name, bug.pair.name, bug.place, bug.causes)
    return Planted(*planted, caught, placed, named, layer, cause, text, tuple(anchors), seconds)
