"""What `parity bench` is told: flags that fit together, and those that do not."""

import json

import pytest

from d2l_jax.errors import InputError
from parity.bench.options import SCALED, BenchOptions
from parity.cli import main


@pytest.mark.parametrize(
    "flags, reason",
    [
        ({"epoch": True, "scale": True}, "--epoch and --scale exclude each other"),
        ({"epochs": 3}, "--epochs is for whole runs"),
        ({"examples": 64}, "--examples cuts an epoch"),
        ({"epoch": True, "roofline": True}, "--roofline is for steps"),
        ({"scale": True, "memory": True}, "--memory is for steps"),
        ({"epoch": True, "picture": "x.png"}, "--picture is for steps"),
        ({"run": True, "device": "gpu"}, "leave --device and --precision out"),
        ({"epoch": True, "precision": "bfloat16"}, "leave --device and --precision out"),
        ({"check": True, "run": True}, "--run and --check exclude each other"),
        ({"check": True, "memory": True}, "--memory is for steps"),
        ({"check": True, "picture": "x.png"}, "--picture is for steps"),
        ({"check": True, "device": "gpu"}, "leave --device and --precision out"),
        ({"check": True, "batch_size": 2}, "--batch-size is for training"),
        ({"growth": True}, "--growth is of the check"),
        ({"check": True, "growth": True}, "leave the names out"),
    ],
)
def test_flags_that_do_not_fit_together_are_an_input_error(flags, reason):
    with pytest.raises(InputError, match=reason):
        _ = BenchOptions(("mlp",), **flags).mode


def test_the_mode_follows_from_the_flags():
    flags = ({}, {"epoch": True}, {"run": True, "epochs": 2}, {"check": True, "markdown": "x.md"})
    assert [BenchOptions(**each).mode for each in flags] == ["steps", "epoch", "run", "check"]
    assert BenchOptions(check=True, growth=True, picture="x.png", markdown="x.md").mode == "growth"


def test_scale_and_check_without_a_name_take_one_model_of_each_kind():
    assert BenchOptions(scale=True).chosen_names == BenchOptions(check=True).chosen_names == SCALED
    assert BenchOptions(("mlp",), scale=True).chosen_names == ("mlp",) and BenchOptions().chosen_names == ()


def test_the_plan_has_the_options():
    plan = BenchOptions(batch_size=3, gflop=2.0, precision="tf32", compile=False, memory=True).plan()
    assert (plan.batch_size, plan.gflop, plan.precision, plan.compile, plan.memory) == (3, 2.0, "tf32", False, True)


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        main(list(map(str, arguments)))
    return exit.value.code


def test_the_command_writes_figures_table_and_picture(tmp_path, capsys):
    files = {kind: tmp_path / f"bench.{kind}" for kind in ("json", "markdown")}
    flags = ("--batch-size", 2, "--repeats", 5, "--seconds", 0, "--no-compile", "--precision", "bfloat16")
    code = run("bench", "linear-regression", *flags, *(text for kind in files for text in (f"--{kind}", files[kind])))
    assert code == 0, capsys.readouterr()
    document = json.loads(files["json"].read_text())
    assert document["cases"][0]["name"] == "linear-regression" and document["environment"]["precision"] == "bfloat16"
    assert files["markdown"].read_text().startswith("| model | batch | JAX |")
    assert "One training step" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["mlp", "--gflop", "0"], "--gflop 0 is no budget"),
        (["mlp", "--epoch", "--run"], "exclude each other"),
        (["--run"], "name some cases"),
        (["gru-lm", "--run"], "a classifier of images is right"),
        (["gru-lm", "--check", "--growth"], "leave the names out"),
        (["nothing", "--check"], "nothing"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(arguments, reason, capsys):
    assert run("bench", *arguments) == 2
    message = capsys.readouterr().err
    assert reason in message and message.count("\n") == 1
