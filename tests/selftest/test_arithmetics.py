"""Verdicts under several arithmetics: each has a process of its own, and one that flips is noticed."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from d2l_jax.errors import InputError
from parity.selftest.arithmetics.__main__ import main
from parity.selftest.arithmetics.run import flip, outcomes
from parity.selftest.arithmetics.settings import ARITHMETICS, PLAIN, Arithmetic, arithmetics
from parity.selftest.arithmetics.tasks import CHOSEN, tasks
from parity.selftest.arithmetics.verdicts import Verdict, verdict
from parity.selftest.run import all_tasks

RIGHT = Verdict("pair", "mlp", 1, "pass", "", "", (), 50, 0.2, "float32 update/0.bias", 1.0)
WRONG = replace(RIGHT, status="fail", place="0", cause="transposed", failing=("float64 forward/loss",))


def test_verdicts_that_are_the_same_do_not_flip():
    assert not flip(RIGHT, replace(RIGHT, margin=0.9, nearest="float64 forward/loss", seconds=2.0))
    assert not flip(WRONG, replace(WRONG, failing=("float64 forward/loss", "float32 forward/loss")))


@pytest.mark.parametrize(
    "first, other, words",
    [
        (RIGHT, WRONG, ["pair mlp, seed 1 FLIPS", "status 'fail' for 'pass'", "float64 forward/loss fails"]),
        (WRONG, RIGHT, ["status 'pass' for 'fail'", "place '' for '0'", "float64 forward/loss passes"]),
        (WRONG, replace(WRONG, place="2"), ["place '2' for '0'"]),
        (WRONG, replace(WRONG, cause="gate-order"), ["cause 'gate-order' for 'transposed'"]),
        (RIGHT, replace(RIGHT, rows=49), ["49 rows for 50"]),
    ],
)
def test_control_a_verdict_that_flips_is_named(first, other, words):
    line = flip(first, other)
    assert all(word in line for word in words), line


class WithoutCpu(Arithmetic):
    """JAX finds no CPU, so that nothing can be compared."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"JAX_PLATFORMS": "cuda"}


@pytest.mark.slow
def test_control_processes_whose_verdicts_differ_are_noticed():
    lines: list[str] = []
    first, other = outcomes([("case", "box-iou", 0)], [PLAIN, WithoutCpu("without a CPU")], lines.append)
    assert first.verdicts[0].status == "pass" and not first.flips
    assert other.verdicts[0].status == "error" and not other.nearest
    assert len(other.flips) == 1 and "case box-iou FLIPS: status 'error' for 'pass'" in other.flips[0]
    assert len(lines) == 2 and "FLIPS" in lines[1]


@pytest.mark.slow
def test_a_process_that_ends_too_early_is_said():
    with pytest.raises(InputError, match="the machine's own: its process has ended with status 1"):
        list(outcomes([("pair", "nothing", 0)], [PLAIN], print))


SAYS = """
import json, os, torch, jax, jax.numpy as jnp
held = jax.jit(lambda x: x @ x)(jnp.ones((3, 3)))  # XLA ends the process for a flag that it does not know
print(json.dumps([torch.backends.cpu.get_cpu_capability(), os.environ["XLA_FLAGS"]]))
"""


@pytest.mark.slow
def test_an_arithmetic_reaches_its_process(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
    (slow,) = [each for each in ARITHMETICS if each.name == "SSE4.2"]
    done = subprocess.run([sys.executable, "-c", SAYS], env=slow.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["DEFAULT", "--xla_cpu_multi_thread_eigen=true --xla_cpu_max_isa=SSE4_2"]
    assert "ATEN_CPU_CAPABILITY" not in PLAIN.environment().keys() - os.environ.keys()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are held to cores on Linux alone")
def test_cores():
    every = os.sched_getaffinity(0)
    assert PLAIN.cores() == every
    assert {min(every), max(every)} == Arithmetic("a", core=0).cores() | Arithmetic("b", core=-1).cores()


def test_arithmetics_fit_the_processor():
    names = [each.name for each in arithmetics((), "AVX2")]
    assert names == ["the machine's own", "SSE4.2", "AVX2", "first core alone", "last core alone"]
    assert arithmetics((), "AVX512") == list(ARITHMETICS) and len(ARITHMETICS) >= 6
    assert arithmetics(("SSE4.2",), "DEFAULT") == [PLAIN, ARITHMETICS[1]]
    with pytest.raises(InputError, match="no arithmetic 'AVX-512' here"):
        arithmetics(("AVX-512",), "AVX2")


def test_tasks():
    assert tasks(()) == tasks(("cases", "pairs", "bugs"))
    assert {("case", name, 0) for name in CHOSEN} | {task for task in all_tasks() if task[0] != "case"} == set(
        tasks(())
    )
    assert tasks(("lenet", "small", "lenet")) == [("case", "lenet", 0), ("pair", "small", 0), ("pair", "small", 1)]


@pytest.mark.slow
def test_a_planted_bug_has_its_blame_as_data():
    found = verdict(("bug", "square weight not transposed", 0))
    assert (found.status, found.place, found.cause) == ("fail", "square", "transposed") and found.failing
    assert Verdict.of(json.loads(json.dumps(vars(found)))) == found


def test_bad_input(capsys, tmp_path):
    for args in (["nothing"], ["small", "--only", "nothing"], ["small", "--json", str(tmp_path)]):
        assert main(args) == 2
        assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.slow
def test_the_command_says_what_flips(capsys, tmp_path):
    file = tmp_path / "all.json"
    assert main(["column", "--only", "SSE4.2", "--json", str(file)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("SSE4.2: 2 verdicts, 0 flip; the largest margin is 0.")
    assert [each["arithmetic"]["name"] for each in json.loads(file.read_text())["outcomes"]] == [PLAIN.name, "SSE4.2"]
