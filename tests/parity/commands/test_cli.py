"""The command `parity check`: verdicts, files and exit statuses."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from flax import nnx
from small_pair import INPUTS, SmallTorch, small

import parity
from d2l_jax import InputError, catalog
from d2l_jax.catalog import get
from parity.cli import main
from parity.environment import share_gpu


def run(*args):
    with pytest.raises(SystemExit) as exit:
        main([str(arg) for arg in args])
    return exit.value.code


def test_a_check_passes_and_writes_its_files(tmp_path, capsys):
    files = [f"--{kind}={tmp_path / kind}" for kind in ("json", "markdown", "html")]
    assert run("check", "linear-regression", "my-linear", *files) == 0
    assert "2 of 2 cases pass" in capsys.readouterr().out
    document = json.loads((tmp_path / "json").read_text())
    assert (
        document["environment"]["torch_tf32"] == "false"
        and document["environment"]["jax_matmul_precision"] == "highest"
    )
    case = document["cases"][0]
    assert {"name", "section", "status", "params", "phases"} <= case.keys() and case["status"] == "pass"
    seen = {(phase["tier"], phase["phase"]) for phase in case["phases"]}
    both = ("evaluation", "forward", "gradients", "update", "step 2 gradients", "step 5 update")
    assert seen >= {(tier, phase) for tier in ("float64", "float32") for phase in both}
    assert seen >= {("float64", "layer forward"), ("float64", "after 5 steps"), ("float32", "free run")}
    assert set(case["phases"][0]["rows"][0]) == {"name", "gap", "threshold", "because", "status"}
    assert "| 3.5 | linear-regression | 4 |" in (tmp_path / "markdown").read_text()
    assert (tmp_path / "html").read_text().count("</html>") == 1


def test_tf32_is_off_unless_asked(capsys):
    assert run("check", "my-linear", "--tf32", "--json", "-") == 0
    settings = json.loads(capsys.readouterr().out)["environment"]
    assert settings["torch_tf32"] == "true" and settings["jax_matmul_precision"] == "tensorfloat32"


def test_json_to_standard_output_is_only_json(capsys):
    assert run("check", "linear-regression", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["cases"][0]["status"] == "pass"


def test_a_failure_is_named_and_its_status_is_1(monkeypatch, capsys):
    class Wrong(type(get("linear-regression").build())):
        def __call__(self, X):
            return super().__call__(X) * 1.0000001

    Wrong.__name__ = "LinearRegression"
    wrong = replace(get("linear-regression"), model=Wrong)
    monkeypatch.setattr("d2l_jax.catalog.get", {"linear-regression": wrong}.__getitem__)
    assert run("check", "linear-regression") == 1
    out = capsys.readouterr().out
    assert "linear-regression: float64 evaluation/output" in out and "0 of 1 cases pass" in out


def test_a_model_that_cannot_run_is_an_error_and_the_others_go_on(monkeypatch, capsys):
    broken = replace(get("lenet"), probe_inputs=(5, 3, 3, 3))
    monkeypatch.setattr("d2l_jax.catalog.CASES", (broken, get("linear-regression")))
    assert run("check", "--all") == 1
    assert "1 of 2 cases pass" in capsys.readouterr().out


@pytest.mark.parametrize(
    "args, reason",
    [
        (["check", "lennet"], "unknown model 'lennet'; did you mean lenet"),
        (["check"], "name some cases, or give --all"),
        (["check", "lenet", "--all"], "name some cases, or give --all"),
        (["check", "my-linear", "--jobs", "0"], "--jobs 0 is too few"),
        (["check", "my-linear", "--json", "/proc/none/x.json"], "cannot write /proc/none/x.json"),
        (["bench", "lennet"], "did you mean lenet"),
        (["bench", "mlp", "--batch-size", "0"], "batch"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(args, reason, capsys):
    assert run(*args) == 2
    message = capsys.readouterr().err
    assert reason in message and message.startswith("error: ") and message.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_one_line_and_status_2(capsys):
    assert run("check", "my-linear", "--device", "gpu") == 2
    assert "--device cpu is right" in capsys.readouterr().err


def test_an_unknown_command_is_status_2():
    assert run("chek") == 2


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tmp_path):
    names = ("my-linear", "linear-regression")
    for jobs in ("1", "2"):
        assert run("check", *names, "--steps", "1", "--jobs", jobs, "--json", tmp_path / jobs) == 0
    one, two = (json.loads((tmp_path / jobs).read_text())["cases"] for jobs in ("1", "2"))
    assert [case["name"] for case in two] == list(names)
    assert [case["phases"] for case in one] == [case["phases"] for case in two]


def test_models_that_cannot_correspond():
    class Narrow(SmallTorch):
        def __init__(self):
            super().__init__()
            self.out = torch.nn.Linear(8, 7)
            self.more = torch.nn.Linear(2, 2)

    with pytest.raises(InputError) as error:
        parity.check(small(), Narrow(), INPUTS)
    assert "more.bias (2,) is only in PyTorch" in str(error.value)
    assert "out.weight is (9, 8) in Flax, (7, 8) in PyTorch" in str(error.value)


def test_neither_model_is_changed_nor_its_graph_and_modes():
    model = small()
    twin = SmallTorch()
    before = parity.state_dict(model)
    theirs = {k: v.clone() for k, v in twin.state_dict().items()}
    loss = catalog.get("lenet").objective.loss
    parity.check(model, twin, INPUTS, outputs="scores", loss=loss, tiers=("float64",), steps=1)
    assert not model.bn.use_running_average and isinstance(model.drop, nnx.Dropout)
    for key, array in parity.state_dict(model).items():
        np.testing.assert_array_equal(array, before[key])
        np.testing.assert_array_equal(twin.state_dict()[key].numpy(), theirs[key].numpy())


def test_a_case_by_name():
    assert parity.check("my-linear").status == "pass"


@pytest.mark.slow
def test_shared_masks_need_the_same_draws():
    class Drawless(SmallTorch):
        def forward(self, x):
            return super().forward(self.drop(x))

    result = parity.check(small(), Drawless(), INPUTS, outputs="scores", loss=catalog.get("lenet").objective.loss)
    assert not result and result.blame.cause == "dropout-missing"


def test_a_gpu_is_shared_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    share_gpu()
    assert os.environ == {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "true"
    share_gpu()
    assert os.environ == {"XLA_PYTHON_CLIENT_PREALLOCATE": "true"}
