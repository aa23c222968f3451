"""Stored training runs are what the commands print: quick ones always, the others with the slow tests."""

import json
import os

import pytest
import training
from chapters import BOOK, EXAMPLES, FIGURES, TRAINING

from d2l_jax.catalog import CASES

RUNS = {run["case"]: run for run in json.loads(TRAINING.read_text())}
QUICK = ["linear-regression"]
MINUTES = 60
WHOLE = {name for name, run in RUNS.items() if run["data"]["train"] >= EXAMPLES.get(run["data"]["name"], 0)}
LONGER = [name for name, run in RUNS.items() if name in WHOLE and name not in QUICK and run["seconds"] < MINUTES]


def test_stored_runs_and_the_books_figures_are_of_cases():
    names = {case.name for case in CASES}
    book = json.loads(BOOK.read_text())
    assert names >= RUNS.keys() | book.keys()
    assert FIGURES.keys() >= {figure for figures in book.values() for figure in figures}
    assert all(run["command"].split()[:3] == ["d2l-jax", "train", name] for name, run in RUNS.items())


@pytest.mark.parametrize("name", QUICK)
def test_a_stored_run_is_what_the_command_prints(name):
    assert training.differences(RUNS[name], training.run(name)) == []


@pytest.mark.slow
@pytest.mark.skipif("D2L_DATA" not in os.environ, reason="needs the book's data")
@pytest.mark.parametrize("name", LONGER)
def test_a_longer_stored_run_is_what_the_command_prints(name):
    assert training.differences(RUNS[name], training.run(name, *RUNS[name]["command"].split()[3:])) == []


def test_control_another_figure_is_told_with_both_values():
    stored = {"case": "mlp", "command": "d2l-jax train mlp", "final": {"test_loss": 0.43, "bleu": [1.0, 0.5]}}
    same = {"final": {"test_loss": 0.431, "bleu": [1.0, 0.5]}}
    other = {"final": {"test_loss": 0.52, "bleu": [1.0, 0.0]}}
    assert training.differences(stored, same) == []
    assert training.differences(stored, other) == [
        "mlp, test_loss: 0.43 is stored, `d2l-jax train mlp` prints 0.52",
        "mlp, bleu: [1.0, 0.5] is stored, `d2l-jax train mlp` prints [1.0, 0.0]",
    ]


def test_a_shorter_run_is_stored_with_its_epochs_and_the_twin_beside_it(tmp_path):
    final = {"epoch": 2, "test_loss": 0.51234}
    metrics = {
        "model": "sentiment-cnn",
        "settings": {"batch_size": 64},
        "device": "cpu",
        "versions": {"torch": "2"},
        "data": {"name": "imdb", "source": "here", "train": 5},
        "seconds": {"total": 1.26},
        "records": [final],
        "final": final,
    }
    for name, loss in (("sentiment-cnn", 0.51234), ("sentiment-cnn-torch", 0.6)):
        (tmp_path / name).mkdir()
        changed = metrics | {"final": final | {"test_loss": loss}}
        (tmp_path / name / "metrics.json").write_text(json.dumps(changed))
    stored = training.outcome(tmp_path / "sentiment-cnn")
    assert stored["command"] == "d2l-jax train sentiment-cnn --epochs 2" and stored["final"] == {"test_loss": 0.5123}
    assert stored["twin"] == {"torch": "2", "seconds": 1.3, "final": {"test_loss": 0.6}}
    assert "twin" not in training.outcome(tmp_path / "sentiment-cnn-torch")


def test_a_command_has_the_options_that_are_not_the_books():
    metrics = {"model": "snli-bert", "settings": {"batch_size": 512, "widths": [25, 128]}, "final": {"epoch": 5}}
    assert training._command(metrics) == "d2l-jax train snli-bert --buckets 2"
    other = metrics | {"settings": {"batch_size": 128}, "final": {"epoch": 2}}
    assert training._command(other) == "d2l-jax train snli-bert --batch-size 128 --epochs 2"


def test_a_run_replaces_the_older_one_of_its_case(tmp_path):
    file = tmp_path / "training.json"
    training.store([{"case": "b", "seconds": 1}, {"case": "a", "seconds": 1}], file)
    training.store([{"case": "b", "seconds": 2}], file)
    assert json.loads(file.read_text()) == [{"case": "a", "seconds": 1}, {"case": "b", "seconds": 2}]
