"""The selftest: a handful of its bugs here, all of them where slow tests run; and that it can say no."""

import json
from dataclasses import replace

import numpy as np
import pytest

from d2l_jax.errors import InputError
from parity.blame.precision import blame_precision
from parity.cli import main
from parity.result import Result
from parity.selftest import anchors, report, run
from parity.selftest.bug import Bug
from parity.selftest.bugs import BUGS
from parity.selftest.bugs.sequences import NoResidual
from parity.selftest.pairs import MLP, SMALL
from parity.selftest.score import Correct, Score

FEW = [
    "square weight not transposed",
    "transposed in the first of twelve layers",
    "an output is missing",
    "tied weights are two",
    "squared error halved",
    "schedule one step late",
]
SLOW = "a detector's maps flattened in (C, H, W) order"
NAMES = [bug.name for bug in BUGS]


def judged(name: str):
    return run.perform(("bug", name, 0))


@pytest.mark.parametrize("name", [*FEW, pytest.param(SLOW, marks=pytest.mark.slow)])
def test_a_bug_is_caught_placed_and_named(name):
    result = judged(name)
    assert result.status == "caught", result


@pytest.mark.slow
def test_the_residual_connection_is_named():
    result = judged("residual connection left out")
    assert (result.layer, result.cause) == ("", "residual-missing")
    assert NoResidual.__name__ not in result.text


@pytest.mark.slow
def test_no_line_of_the_check_is_told_where_a_layer_of_pytorchs_is_called_by_the_check_alone():
    result = judged("instance norm's eps outside the root")
    assert result.layer == "instance" and "turns.py" not in result.text


def test_every_bug_has_its_own_name_and_a_place_that_exists():
    assert len(set(NAMES)) == len(NAMES) >= 60
    for bug in BUGS:
        known = {name for name, _ in bug.pair.torch().named_modules()} | {"loss", "optimizer"}
        assert bug.place in known, bug.name
        assert bug.causes


def test_control_no_bug_is_not_caught(monkeypatch):
    nothing = Bug("nothing", SMALL, "out", ("transposed",))
    monkeypatch.setattr(run, "BUGS", (nothing,))
    result = judged("nothing")
    assert not (result.caught or result.placed or result.named)
    assert not result.anchors
    assert result.status == "missed"
    assert not Score([result], []).good


def test_control_the_wrong_place_and_the_wrong_cause_count_against_it(monkeypatch):
    bug = next(bug for bug in BUGS if bug.name == FEW[0])
    monkeypatch.setattr(run, "BUGS", (replace(bug, place="out", causes=("gate-order",)),))
    result = judged(bug.name)
    assert result.caught and not result.placed and not result.named


@pytest.mark.slow
def test_control_an_accused_correct_twin_is_a_false_alarm(monkeypatch):
    assert run.perform(("pair", "small", 0)).status == "left alone"
    right = judged(FEW[0])
    monkeypatch.setattr(run, "check_twin", lambda twin: Result("small", "", 0, error="no"))
    result = run.perform(("pair", "small", 0))
    assert result.alarm == "no"
    assert Score([right], []).good and not Score([right], [result]).good
    assert not Score([], []).good


def test_a_layer_of_lower_precision_is_placed_and_named():
    bug = next(bug for bug in BUGS if bug.name == "bfloat16 within float32")
    place = blame_precision(bug.twin())
    assert place and (place.layer, place.cause) == ("out", "bfloat16")
    assert blame_precision(MLP.twin()) is None


X = np.asarray(np.random.default_rng(0).normal(size=(5, 7)), np.float32)
# rule -> (what it lets pass, what it sees)
SEEN = {
    "largest difference 1e-5": (X + 9e-6, X + 2e-5),
    "assert_close": (X * (1 + 1e-6), X + 1e-3),
    "means within 1e-6": (X[::-1], X + 1e-3),
    "rtol = 1": (X * 1.9, X * 2.1),
    "cosine > 0.99": (X * 7, X[:, ::-1]),
    "ratio of errors": (X + 5e-4, X + 1e-2),
}


@pytest.mark.parametrize("anchor", anchors.ANCHORS, ids=lambda anchor: anchor.name)
def test_a_rule_of_an_anchor_passes_and_fails(anchor):
    same, different = SEEN[anchor.name]
    assert anchor.rule(X, same.astype(np.float32), X.astype(np.float64))
    assert not anchor.rule(X, different.astype(np.float32), X.astype(np.float64))


def test_the_report_counts():
    score = Score([judged(FEW[2])], [Correct("a", "", ("assert_close",), 0.0), Correct("b", "it", (), 0.0)])
    lines = {line[0]: line[1:] for line in report.lines(score)}
    assert lines["parity"] == ("1 of 1", "1 of 1", "1 of 1", "1 of 2")
    assert lines["assert_close"] == ("1 of 1", "-", "-", "1 of 2")
    document = json.loads(report.to_json(score, {"device": "cpu"}))
    assert document["bugs"][0]["name"] == FEW[2] and len(document["correct"]) == 2
    numbers = {rule.pop("rule"): rule for rule in document["rules"]}
    whole = {"bugs": 1, "correct": 2}
    assert numbers["parity"] == {"caught": 1, "placed": 1, "named": 1, "false alarms": 1} | whole
    assert numbers["assert_close"] == {"caught": 1, "placed": None, "named": None, "false alarms": 1} | whole
    assert report.shortcomings(score) == ["b: false alarm in it"]
    assert report.markdown(score).count("\n") == len(anchors.ANCHORS) + 3
    assert report.table(score).row_count == len(anchors.ANCHORS) + 1


def test_too_few_jobs(capsys):
    with pytest.raises(InputError, match="1 or more"):
        run.selftest(jobs=0)
    with pytest.raises(SystemExit) as stop:
        main(["selftest", "--jobs", "0"])
    assert stop.value.code == 2 and "--jobs 0" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_find_the_same():
    tasks = [("bug", FEW[2], 0), ("bug", "squared error halved", 0)]
    score = run.selftest(jobs=2, tasks=tasks)
    assert [bug.name for bug in score.bugs] == [FEW[2], "squared error halved"]
    assert score.good


@pytest.mark.slow
def test_everything():
    score = run.selftest(jobs=2)
    assert score.good, report.shortcomings(score)
    assert len(score.bugs) == len(BUGS)
