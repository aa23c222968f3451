"""Recommenders by `d2l-jax train`: figures, the line of results, and the PyTorch twin."""

from dataclasses import replace
from pathlib import Path

import pytest
from small_runs import assert_same_run

from d2l_jax.catalog import get
from d2l_jax.data import load
from d2l_jax.data.find.ratings import FORMS
from d2l_jax.data.ratings.clicks import drawn_clicks
from d2l_jax.data.ratings.drawn import drawn_ratings
from d2l_jax.errors import InputError
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.predict import predict
from d2l_jax.runs.run import Job, Listener, train

SMALL = {
    "mf": {"num_factors": 3},
    "neumf": {"num_factors": 3, "nums_hiddens": [3]},
    "autorec": {"num_hidden": 5, "dropout": 0.0},
    "fm": {"num_factors": 3},
    "deepfm": {"num_factors": 3, "mlp_dims": [3], "drop_rate": 0.0},
    "caser": {"num_factors": 3, "d": 2, "d_prime": 2, "drop_ratio": 0.0},
}
FORM = {"mf": "", "autorec": "_items", "neumf": "_ranking", "caser": "_sequences"}


class Told(Listener):
    def __init__(self):
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


def small(name: str, out: Path, framework: str = "jax", epochs: int = 2, *, resume: bool = False) -> Job:
    data = drawn_clicks() if name in ("fm", "deepfm") else FORMS[FORM[name]][1](drawn_ratings(), "toy")
    case = get(name).of_batch_size(100 if name == "autorec" else 500)
    case = fitted(replace(case, args=case.args | SMALL[name], epochs=epochs), data)
    return Job(case, data, out, framework=framework, resume=resume)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("name", SMALL)
def test_both_frameworks_learn_the_same_and_tell_the_result(name: str, tmp_path: Path):
    told = Told()
    ours = train(small(name, tmp_path / "jax"), told).metrics["records"]
    theirs = train(small(name, tmp_path / "torch", "torch")).metrics["records"]
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=2e-3, abs=0.006)  # a rank or two of 200 change
    assert ours[1]["test_loss"] < ours[0]["test_loss"]
    (line,) = [line for line in told.lines if line.startswith("result")]
    assert line.startswith("result    test ") and (tmp_path / "jax" / "predictions.txt").read_text().count("\n") == 5


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("name", ["mf", "fm"])
def test_an_epoch_and_one_more_are_two(name: str, tmp_path: Path):
    straight = small(name, tmp_path / "straight")
    train(straight)
    train(small(name, tmp_path / "parts", epochs=1))
    train(small(name, tmp_path / "parts", resume=True))
    assert_same_run(tmp_path / "straight", tmp_path / "parts", 2, straight.case)


@pytest.mark.slow
def test_other_items_are_drawn_anew_in_every_step_of_a_run(tmp_path: Path):
    job = small("neumf", tmp_path / "drawn")
    fixed = job._replace(data=replace(job.data, pool=None), out=tmp_path / "fixed")
    drawn, once = (train(each._replace(case=replace(each.case, epochs=1))).metrics["final"] for each in (job, fixed))
    assert drawn["train_loss"] != once["train_loss"]


def test_ratings_want_ratings():
    with pytest.raises(InputError, match="neumf takes 2 arrays of users and items; .* has 3 arrays"):
        fitted(get("neumf"), load("drawn_ratings_sequences"))
    told = "mf learns numbers from ratings; drawn_ratings_ranking has .*; ml100k or drawn_ratings is right"
    with pytest.raises(InputError, match=told):
        fitted(get("mf"), load("drawn_ratings_ranking"))
    with pytest.raises(InputError, match="mf learns numbers from ratings; digits has labels for images"):
        fitted(get("mf"), load("digits"))


@pytest.mark.usefixtures("quick_compilation")
def test_a_rating_is_told_and_numbers_outside_of_the_tables_are_refused(tmp_path: Path):
    train(small("mf", tmp_path))
    (line,) = predict(tmp_path, ["200 300"])
    assert line.startswith("200 300 -> ") and 0 < float(line.rpartition(" ")[2]) < 6
    for text, wrong in (
        ("201 1", "user 201 is not in the table; a number from 1 to 200 is right"),
        ("1 0", "item 0 is not in the table; a number from 1 to 300 is right"),
        ("1", "'1' is no user and item; two numbers from 1"),
    ):
        with pytest.raises(InputError, match=wrong):
            predict(tmp_path, [text])
