"""Chapter 19: `d2l-jax search`, from a model of the book to its best settings."""

import json
import shlex
from pathlib import Path

import pytest

from d2l_jax.cli import main
from d2l_jax.errors import InputError
from d2l_jax.runs.options import Options
from d2l_jax.search.case_objective import CaseObjective
from d2l_jax.search.space import space_of

OUT = ["--data", "digits", "--epochs", "2", "--out", "study"]
SPACE = ["--space", "lr=loguniform(0.05,0.5)", "batch_size=choice(256,512)"]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("D2L_DATA", raising=False)


@pytest.mark.slow
def test_a_study_of_a_model_resumes_and_its_best_is_trained_again(tmp_path, capsys):
    main(["search", "softmax", *OUT, *SPACE, "--trials", "2", "--workers", "2"])
    main(["search", "softmax", *OUT, *SPACE, "--trials", "3", "--resume", "--json", "-"])
    out, err = capsys.readouterr()
    result = json.loads(out[out.index("{") :])
    assert result == json.loads(Path("study/study.json").read_text())
    assert result["counts"] == {"completed": 3} and len(result["trajectory"]) == 6
    assert "resumed   2 trials had ended, 0 are run again" in err and Path("study/trajectory.png").stat().st_size > 9000

    last = [trial["errors"][-1] for trial in result["trials"]]
    assert last[result["best_at_end"]] == min(last)

    (again,) = [line.removeprefix("again ").strip() for line in err.splitlines() if line.startswith("again")]
    main([*shlex.split(again)[1:], "--out", "best", "--json", "best.json"])
    best = json.loads(Path("best.json").read_text())["final"]
    assert 1 - best["test_accuracy"] == result["error"]

    main(["compare", "study", "study", "--out", "both.svg"])
    assert Path("both.svg").stat().st_size > 9000
    first, second, _ = capsys.readouterr().out.splitlines()[-3:]
    assert first == second and first.startswith(f"study: error {result['error']:.4f} after ")
    assert first.endswith(f"3 trials and 6 epochs in {result['seconds']:.1f} s")
    with pytest.raises(SystemExit):
        main(["compare", "study", "best"])


def test_a_trial_that_diverges_is_no_end_of_the_study(capsys):
    space = ["--space", "lr=choice(1e30)"]
    with pytest.raises(SystemExit):
        main(["search", "linear-regression", "--epochs", "1", "--out", "study", *space, "--trials", "2"])
    assert "error: no trial has reached an error: the first diverged" in capsys.readouterr().err
    assert json.loads(Path("study/study.json").read_text())["counts"] == {"diverged": 2}


WRONG = [
    (["lenett"], "error: unknown model 'lenett'; did you mean lenet"),
    (["dcgan"], "error: dcgan makes images, and has no error on a test split; another model is right"),
    (["style-transfer"], "error: style-transfer learns one image, and has no error on a test split"),
    (["gan"], "error: gan has no data to train on"),
    (["lenet", "--space"], "the search space is empty"),
    (["lenet", "--space", "lr=loguniform(1,0.1)"], "has no numbers in it"),
    (
        ["lenet", "--space", "num_class=choice(1,2)"],
        "unknown hyperparameter of lenet 'num_class'; did you mean num_classes",
    ),
    (["lenet", "--space", "batch_size=randint(32,9999)"], "--batch-size 9998 does not fit 1437 examples"),
    (["lenet", "--space", "batch_size=loguniform(16,128)"], "--batch-size 16.0 is no whole number; 1 or more is right"),
    (["lenet", "--first", "lr=2", "batch_size=64"], "the first lr is 2, which is not in loguniform(0.01,1)"),
    (["lenet", "--first", "lr"], "--first lr is no value"),
    (["lenet", "--first", "lr=0.1", "lr=0.2", "batch_size=64"], "--first gives lr twice"),
    (["lenet", "--first", "lr=0.1", "batch_size=nan"], "the first batch_size is nan, which is not in"),
    (["lenet", "--space", "lr=choice(0.1,,1)"], "has nothing between two commas"),
    (["lenet", "--space", "batch_size=randint(1,1e30)"], "has no numbers in it; whole bounds of 64 bits"),
    (["mlp", "--space", "num_hiddens=choice(a,b)"], "mlp cannot be made with num_hiddens a"),
    (["lenet", "--trials", "0"], "--trials 0 is too few"),
    (["lenet", "--minutes", "-1"], "--minutes -1.0 is no time"),
    (["lenet", "--workers", "0"], "--workers 0 is too few"),
    (["lenet", "--scheduler", "asha", "--grace", "10"], "give no rungs"),
    (["lenet", "--resume"], "holds no study to resume"),
    (["lenet", "--storage", "s.log", "--scheduler", "halving"], "leaves configurations and rungs to Optuna"),
    (["mlp", "--space", "lr=choice(1,2)", "--epochs", "0"], "--epochs 0 is too small"),
]


@pytest.mark.parametrize(("args", "said"), WRONG)
def test_a_wrong_call_is_refused_in_one_line_before_the_first_trial(args, said, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["search", *args, *([] if "--epochs" in args else OUT)])
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and err.startswith("error: ") and err.count("\n") == 1
    assert said in err and out == "" and not Path("study").exists()


def test_arguments_of_the_model_and_of_its_optimiser_are_hyperparameters():
    objective = CaseObjective(Options("mlp", data="digits"))
    case, _ = objective.prepared({"num_hiddens": 17, "momentum": 0.5, "lr": 0.25, "max_epochs": 3})
    assert case.args["num_hiddens"] == 17 and case.epochs == 3
    assert case.turn.optimizer.keywords["momentum"] == 0.5 and case.turn.optimizer.keywords["lr"] == 0.25
    with pytest.raises(InputError, match="unknown hyperparameter of mlp 'hiddens'; did you mean num_hiddens"):
        objective.prepared({"hiddens": 3})


def test_the_ends_of_the_space_are_tried_beforehand():
    objective = CaseObjective(Options("mlp", data="digits"))
    with pytest.raises(InputError, match="does not fit"):
        objective.checked(space_of(["batch_size=choice(32,5000)"]))
    assert objective.checked(space_of(["batch_size=randint(32,64)"])) == objective
