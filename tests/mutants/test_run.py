"""Whole mutants: what must be caught is, what is equivalent survives, and no file changes."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sampled import sampled

from d2l_jax.errors import InputError
from parity.cli import main
from parity.mutants import report
from parity.mutants.known import KNOWN, Known, reason_of, stale
from parity.mutants.loading import install, package_root
from parity.mutants.mutant import Mutant, files_of, survey, survivors
from parity.mutants.options import MutantOptions
from parity.mutants.reach import Cache, recorded_cases
from parity.mutants.run import mutants, outcome_of
from parity.mutants.score import Outcome, Score
from parity.mutants.workers import Workers

FILE = "d2l_jax/models/mlp.py"
ROOT = package_root()
SITES = {file: survey(ROOT, [file]) for file in (FILE, "d2l_jax/losses/classes.py")}


def mutant(within: str, start: str, label: str) -> Mutant:
    """The first place of a class or function whose source begins so and which has this change."""
    in_there = (site for site in SITES[FILE] if site.place.within == within and label in site.place.labels)
    site = next(site for site in in_there if site.place.old.startswith(start))
    return Mutant(site.place, label, site.new(label))


@pytest.fixture(scope="module")
def cache(tmp_path_factory, workers) -> Cache:
    empty = Cache(ROOT, tmp_path_factory.mktemp("cache"))
    (reach,) = recorded_cases(["mlp-scratch"], files_of(ROOT), workers, empty)
    assert not reach.problem
    return empty


def tried(workers: Workers, cache: Cache, one: Mutant, seconds: float = 300.0, extent: str = "quick") -> Outcome:
    place = one.place
    task = {"file": place.file, "number": place.number, "label": one.label, "folder": str(cache.folder)}
    task |= {"runs": [["mlp-scratch", extent]], "timeouts": [seconds]}
    ((_, answer),) = workers.perform([one], lambda _: task)
    return outcome_of(one, task, answer, known=())


CAUGHT = {
    "an operator": ("MLPScratch.__call__", "nn.flatten(X) @ self.W1", "+ -> -"),
    "a comparison": ("relu", "X > 0", "> -> <="),
    "a constant": ("relu", "0", "0 -> 1"),
}


@pytest.mark.parametrize("kind", sampled(CAUGHT, 3))
def test_a_change_that_matters_is_caught(kind, workers, cache):
    outcome = tried(workers, cache, mutant(*CAUGHT[kind]))
    assert (outcome.verdict, outcome.case) == ("caught", "mlp-scratch"), outcome


@pytest.mark.slow
def test_a_change_that_cannot_run_is_an_error(workers, cache):
    outcome = tried(workers, cache, mutant("MLPScratch.__call__", "H @ self.W2", "@ -> *"))
    assert outcome.verdict == "error" and "shape" in outcome.detail


@pytest.mark.slow
@pytest.mark.parametrize("extent", ["quick", "whole"])
def test_control_an_equivalent_change_survives(extent, workers, cache):
    """The rectifier of what is never exactly 0, and a guard for a loss's options that the case does not use."""
    assert tried(workers, cache, mutant("relu", "X > 0", "> -> >="), extent=extent).verdict == "survived"


@pytest.mark.slow
def test_a_changed_start_is_noticed_by_fresh_models_alone(workers, cache):
    """The check draws its own weights, so that only what fresh models hold shows an initialiser."""
    wider = mutant("MLPScratch.__init__", "0.01", "0.01 -> 0.02")
    assert tried(workers, cache, wider).verdict == "survived"
    outcome = tried(workers, cache, wider, extent="whole")
    assert (outcome.verdict, outcome.phase) == ("caught", "start"), outcome
    score = Score(0, 1, [outcome, Outcome(SURVIVOR, "caught", phase="forward")])
    assert (score.share, score.without_start) == (1.0, 0.5)
    assert "0.500 if fresh models were not compared" in report.lines(score)[-1]


def test_what_takes_too_long_is_a_timeout(workers, cache):
    slow = mutant("relu", "X > 0", "> -> >=")
    assert tried(workers, cache, slow, seconds=0.01).verdict == "timeout"
    assert tried(workers, cache, slow, seconds=0.01, extent="whole").verdict == "survived"


def test_a_case_reaches_what_it_runs_and_nothing_else(cache):
    reach = cache.reach("mlp-scratch")
    reached = [site.place for site in SITES[FILE] if site.place.mark in reach.marks]
    assert {place.within for place in reached} == {"MLPScratch.__init__", "MLPScratch.__call__", "normal", "relu"}
    losses = [site.place for site in SITES["d2l_jax/losses/classes.py"] if site.place.mark in reach.marks]
    assert "multi_margin_loss" not in {place.within for place in losses}


def test_a_default_counts_where_it_is_taken(cache):
    marks = cache.reach("mlp-scratch").marks
    defaults = {s.place.old: s.place.mark in marks for s in SITES[FILE] if s.place.within == "MLPScratch.__init__"}
    assert defaults["0.01"] and not defaults["784"]


def digest() -> str:
    files = sorted(path for path in (ROOT / "d2l_jax").rglob("*") if path.suffix != ".pyc")
    return hashlib.sha256(b"".join(str(f).encode() + f.read_bytes() for f in files if f.is_file())).hexdigest()


@pytest.mark.slow
def test_a_run_tells_every_mutant_and_changes_no_file(cache):
    before = digest()
    lines: list[str] = []
    options = MutantOptions((Path(FILE),), number=12, cases=("mlp-scratch",))
    score = mutants(options, lines.append, cache.folder.parent)
    assert digest() == before
    assert len(score.outcomes) == 12 and score.counts["not reached"] < 12 and not score.unfit
    assert [line.split()[0] for line in lines if not line.startswith("case ")] == [f"[{n}/12]" for n in range(1, 13)]
    marks = [site.place.mark for site in survey(ROOT, [FILE])]
    assert all(outcome.mutant.place.mark in marks for outcome in score.outcomes)


def test_a_change_that_comes_too_late_is_refused():
    with pytest.raises(RuntimeError, match="has been imported before"):
        install({FILE: lambda source: pytest.fail("compiled")})


SURVIVOR = mutant("relu", "X > 0", "> -> >=")
ENTRY = Known(FILE, "relu", SURVIVOR.place.code, "> -> >=", "no input is 0")


def test_an_explained_survivor_is_equivalent():
    task = {"runs": [["mlp-scratch", "quick"]]}
    answer = [{"status": "survived"}]
    assert outcome_of(SURVIVOR, task, answer, known=[ENTRY]).verdict == "equivalent"
    assert outcome_of(SURVIVOR, task, answer, known=[replace(ENTRY, label="> -> <=")]).verdict == "survived"
    assert reason_of(SURVIVOR, [ENTRY]) == "no input is 0"


def test_an_entry_that_speaks_of_nothing_is_stale():
    places = [site.place for site in SITES[FILE]]
    gone = replace(ENTRY, code="return X")
    assert stale(places, [FILE], [ENTRY, gone]) == [gone]
    assert stale(places, [], [gone]) == []
    assert not Score(0, 1, stale=[gone]).good


def test_the_score_counts_what_is_reached():
    verdicts = ("caught", "error", "survived", "equivalent", "not reached")
    score = Score(0, 9, [Outcome(SURVIVOR, verdict) for verdict in verdicts])
    assert (score.noticed, score.reached, score.share) == (2, 4, 0.5)
    assert score.of_different == pytest.approx(2 / 3) and not score.good
    text = "\n".join(report.lines(score))
    assert f"{FILE}:{SURVIVOR.place.line}  X > 0 -> X >= 0" in text and "score 0.500: 2 of the 4" in text
    document = json.loads(report.to_json(score, {"device": "cpu"}))
    assert document["counts"]["survived"] == 1 and document["mutants"][0]["new"] == "X >= 0"
    assert Score(0, 9, [Outcome(SURVIVOR, "caught"), Outcome(SURVIVOR, "not reached")]).good
    assert not Score(0, 9, unfit={"mlp": "no"}).good


@pytest.mark.slow
def test_survivors_of_a_file_are_tried_again(tmp_path, workers, cache):
    score = Score(0, 9, [Outcome(SURVIVOR, "survived"), Outcome(mutant(*CAUGHT["an operator"]), "caught")])
    file = tmp_path / "mutants.json"
    file.write_text(report.to_json(score, {}))
    assert survivors(SITES[FILE], file) == [SURVIVOR]
    options = MutantOptions((Path(FILE),), cases=("mlp-scratch",), again=file)
    (outcome,) = mutants(options, folder=cache.folder.parent, known=[ENTRY]).outcomes
    assert (outcome.mutant, outcome.verdict) == (SURVIVOR, "equivalent")


def test_a_file_without_survivors_is_refused(tmp_path):
    file = tmp_path / "mutants.json"
    file.write_text(report.to_json(Score(0, 9, [Outcome(SURVIVOR, "caught")]), {}))
    with pytest.raises(InputError, match="no survivor"):
        survivors(SITES[FILE], file)
    file.write_text("[]")
    with pytest.raises(InputError, match="not what `parity mutants --json` writes"):
        survivors(SITES[FILE], file)


WRONG = {
    "--number 0": ["--number", "0"],
    "--jobs 0": ["--jobs", "0"],
    "--most 0": ["--most", "0"],
    "unknown model 'mpl'; did you mean mlp": ["--cases", "mpl"],
    "d2l_jax/case.py has no file that is changed": ["d2l_jax/case.py"],
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_call_is_one_line_and_status_2(message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["mutants", *WRONG[message]])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.count("\n") == 1


def test_a_fault_of_a_worker_is_no_verdict(workers):
    task = {"file": FILE, "number": 10**6, "label": "", "folder": "", "runs": [], "timeouts": [60.0]}
    with pytest.raises(RuntimeError, match="IndexError"):
        list(workers.perform([0], lambda _: task))


def test_refused_numbers():
    with pytest.raises(InputError, match="1 or more"):
        Workers(0)


def test_every_entry_speaks_of_a_place_and_says_why():
    every = files_of(ROOT)
    assert stale([site.place for site in survey(ROOT, every)], every) == []
    assert all(entry.reason and entry.file in every for entry in KNOWN)
