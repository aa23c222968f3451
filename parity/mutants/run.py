"""A run: places are drawn, and the quickest cases that reach each are checked with the change."""

from collections.abc import Callable, Sequence
from pathlib import Path

from d2l_jax.catalog import CASES, get
from d2l_jax.errors import InputError
from parity.mutants.known import KNOWN, Known, reason_of, stale
from parity.mutants.loading import package_root
from parity.mutants.mutant import FURTHER, ROOMS, Mutant, draw, files_of, survey, survivors
from parity.mutants.options import MutantOptions
from parity.mutants.reach import Cache, Reach, recorded_cases
from parity.mutants.score import Outcome, Score
from parity.mutants.workers import Answer, Job, Workers

Tell = Callable[[str], None]
SPARE = 60.0  # seconds that a busy machine may take more
PATIENCE = {"quick": 10, "whole": 30}  # times the seconds of the unchanged quick check


def mutants(
    options: MutantOptions, tell: Tell = lambda line: None, folder: Path | None = None, known: Sequence[Known] = KNOWN
) -> Score:
    """Draws mutants, checks each, and tells what becomes of it, a line each as it ends.

    folder: of the cache, instead of the user's

    Raises InputError where the options are wrong.
    """
    root = package_root()
    files = files_of(root, options.paths)
    surveyed = survey(root, files)
    drawn = survivors(surveyed, options.again) if options.again else draw(surveyed, options.seed, options.number)
    if options.most < 1:
        raise InputError(f"--most {options.most} is too few; 1 or more is right")
    names = [get(name).name for name in options.cases] or [case.name for case in CASES]
    with Workers(options.jobs) as workers:
        cache = Cache(root, folder)
        reaches = _reaches(root, names, workers, cache, tell)
        outcomes = _outcomes(drawn, reaches, options.most, workers, str(cache.folder), tell, known)
    unfit = {reach.case: reach.problem for reach in reaches if reach.problem}
    places = [site.place for site in surveyed]
    return Score(options.seed, len(places), outcomes, unfit, stale(places, files, known))


def _reaches(root: Path, names: Sequence[str], workers: Workers, cache: Cache, tell: Tell) -> list[Reach]:
    """Returns the reach of each case, in the order of the catalogue: recorded over all files that may be changed."""
    files = files_of(root, [Path("d2l_jax") / room for room in (*ROOMS, *FURTHER)])
    reaches = {}
    for number, reach in enumerate(recorded_cases(names, files, workers, cache), 1):
        reaches[reach.case] = reach
        tell(f"case [{number}/{len(names)}] {reach.case} reaches {len(reach.marks)} places, {reach.seconds:.1f} s")
    return [reaches[name] for name in names]


def _outcomes(
    drawn: Sequence[Mutant],
    reaches: Sequence[Reach],
    most: int,
    workers: Workers,
    folder: str,
    tell: Tell,
    known: Sequence[Known],
) -> list[Outcome]:
    """Returns what becomes of each mutant, in the order of the draw."""
    fit = sorted((reach for reach in reaches if not reach.problem), key=lambda reach: reach.seconds)
    by_place = {m.place.mark: [reach for reach in fit if m.place.mark in reach.marks] for m in drawn}
    outcomes: dict[str, Outcome] = {}

    def end(outcome: Outcome) -> None:
        outcomes[outcome.mutant.place.mark] = outcome
        tell(f"[{len(outcomes)}/{len(drawn)}] {outcome.line}")

    for mutant in drawn:
        if not by_place[mutant.place.mark]:
            end(Outcome(mutant, "not reached"))
    tasks = {m: _task(m, by_place[m.place.mark][:most], folder) for m in drawn if by_place[m.place.mark]}
    quickest_first = sorted(tasks, key=lambda m: by_place[m.place.mark][0].seconds)
    for mutant, answer in workers.perform(quickest_first, tasks.__getitem__):
        end(outcome_of(mutant, tasks[mutant], answer, known, len(by_place[mutant.place.mark])))
    return [outcomes[mutant.place.mark] for mutant in drawn]


def _task(mutant: Mutant, cases: Sequence[Reach], folder: str) -> Job:
    """Returns the quick checks of the cases, then their whole checks."""
    place = mutant.place
    return {
        **{"file": place.file, "number": place.number, "label": mutant.label, "folder": folder},
        "runs": [[reach.case, extent] for extent in PATIENCE for reach in cases],
        "timeouts": [SPARE + times * reach.seconds for times in PATIENCE.values() for reach in cases],
    }


def outcome_of(mutant: Mutant, task: Job, answer: Answer, known: Sequence[Known] = KNOWN, cases: int = 1) -> Outcome:
    """Returns the outcome of a worker's answer; a mutant survives where nothing but a whole check took too long.

    cases: that reach the place
    """
    case, extent = task["runs"][len(answer) - 1]
    verdict = answer[-1]["status"]
    if verdict == "timeout" and extent == "whole":
        verdict = "survived"
    if verdict == "survived" and reason_of(mutant, known):
        verdict = "equivalent"
    seconds = sum(line.get("seconds", 0.0) for line in answer)
    last = answer[-1]
    return Outcome(mutant, verdict, case, last.get("detail", ""), round(seconds, 1), cases, last.get("phase", ""))
