"""Repro bundles: folders that show a failure with numpy alone, and stop failing when the tensors agree."""

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from keys import key
from small_results import BAD, BROKEN, GOOD

from d2l_jax import InputError
from parity.arrays.key import Key
from parity.cli import main
from parity.compare.precision import compare_precision
from parity.compare.semantics import compare_semantics
from parity.report.repro import evidence_of, save_repro
from parity.result import Blame, Result

R = np.random.default_rng(0)
OUTPUT = key("forward/output")
GRADIENT = key("gradients/w")
UPDATE = key("update/w")
ORACLE = {OUTPUT: R.normal(size=(3, 5)), GRADIENT: R.normal(size=7), UPDATE: R.normal(size=7)}
WITHOUT_THE_REST = """
import sys
class Blocked:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("torch", "jax", "parity", "d2l_jax", "flax"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
"""


def failing(flax):
    """A result over ORACLE, and its evidence."""
    noise = dict.fromkeys(ORACLE, 1e-16)
    low = {k: a.astype(np.float32) for k, a in flax.items()}
    rows = {
        "float64": compare_semantics(ORACLE, flax, noise, 5),
        "float32": compare_precision(ORACLE, dict.fromkeys(ORACLE, 1e-7), low, 5),
    }
    return Result(
        "a case", "1", 1, rows, evidence=evidence_of(rows, {"float64": (ORACLE, flax), "float32": (ORACLE, low)})
    )


def run(folder, *args):
    code = f"{WITHOUT_THE_REST}\nimport runpy\nsys.argv = ['repro.py', *{[str(a) for a in args]}]\n"
    code += f"runpy.run_path({str(folder / 'repro.py')!r}, run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_script_shows_the_place_and_the_gap(tmp_path):
    wrong = ORACLE[OUTPUT].copy()
    wrong[2, 1] += 0.5
    result = failing(ORACLE | {OUTPUT: wrong})
    folder = save_repro(result, tmp_path)
    assert folder == tmp_path / "a-case" and sorted(p.name for p in folder.iterdir()) == [
        "arrays.npz",
        "repro.py",
        "rows.json",
    ]
    seen = run(folder)
    (row,) = (r for r in result.rows["float64"] if not r.passed)
    assert seen.returncode == 1 and not seen.stderr
    assert f"differ: float64 forward/output: gap {row.gap:.3e}, threshold {row.threshold:.3e}" in seen.stdout
    assert "differ: float32 forward/output" in seen.stdout and "furthest apart at [2, 1]" in seen.stdout
    assert "gradients" not in seen.stdout


def test_control_repaired_tensors_agree(tmp_path):
    folder = save_repro(failing(ORACLE | {GRADIENT: 1.001 * ORACLE[GRADIENT]}), tmp_path)
    new = {"float64/flax/gradients/w": ORACLE[GRADIENT]}
    np.savez(tmp_path / "half.npz", **new)
    assert run(folder, tmp_path / "half.npz").returncode == 1  # float32 still differs
    np.savez(tmp_path / "new.npz", **new, **{"float32/flax/gradients/w": ORACLE[GRADIENT].astype(np.float32)})
    seen = run(folder, tmp_path / "new.npz")
    assert seen.returncode == 0 and "agree: float64 gradients/w" in seen.stdout, seen


@pytest.mark.parametrize("wrong", [np.zeros((5, 3)), np.full((3, 5), np.nan)])
def test_other_shapes_and_nan_differ_too(wrong, tmp_path):
    seen = run(save_repro(failing(ORACLE | {OUTPUT: wrong}), tmp_path))
    assert seen.returncode == 1 and "gap inf" in seen.stdout and not seen.stderr


def test_a_missing_tensor_is_shown(tmp_path):
    flax = {key: a for key, a in ORACLE.items() if key != UPDATE}
    seen = run(save_repro(failing(flax), tmp_path))
    assert seen.returncode == 1 and "shape (7,) in PyTorch, None in Flax" in seen.stdout


def test_the_guilty_layer_brings_what_it_was_given(tmp_path):
    module = torch.nn.Linear(2, 3)
    x = torch.ones(4, 2)
    call = SimpleNamespace(name="net.0", module=module, args=(x,), kwargs={}, cotangents={"output": torch.ones(4, 3)})
    out = R.normal(size=(4, 3))
    name = Key(1, "forward", "output", layer="net.0")
    layer = SimpleNamespace(label="net.0", theirs=call, oracle={name: out}, flax={name: 2 * out})
    rows = {"float64": compare_semantics({name: out}, {name: 2 * out}, {name: 1e-16}, 5)}
    blame = Blame("net.0", "forward", "scale", "net.0 (Linear), forward: twice as large")
    evidence = evidence_of(rows, {"float64": ({}, {})}, [layer], blame)
    assert list(evidence)[0] == f"float64/torch/{name}" and set(evidence) == {
        f"float64/torch/{name}",
        f"float64/flax/{name}",
        "layer/input/0.0",
        "layer/cotangent/output",
        "layer/parameter/weight",
        "layer/parameter/bias",
    }
    seen = run(save_repro(Result("pair", "", 1, rows, blame=blame, evidence=evidence), tmp_path))
    assert "net.0 (Linear), forward: twice as large" in seen.stdout and f"differ: float64 {name}" in seen.stdout
    assert "given: layer/input/0.0 (4, 2)" in seen.stdout and seen.returncode == 1


def test_a_pass_leaves_nothing(tmp_path):
    good = failing(ORACLE)
    assert good.status == "pass" and not good.evidence
    assert save_repro(good, tmp_path) is None and save_repro(GOOD, tmp_path) is None and not list(tmp_path.iterdir())


def test_without_arrays_there_is_one_clear_line(tmp_path):
    for result in (BROKEN, BAD):
        with pytest.raises(InputError, match=f"{result.name}: no arrays were compared"):
            save_repro(result, tmp_path)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        save_repro(failing(ORACLE | {UPDATE: np.zeros(7)}), tmp_path / "file")


def test_the_command_writes_a_folder_for_failures_alone(tmp_path, monkeypatch, capsys):
    bad = failing(ORACLE | {UPDATE: np.zeros(7)})
    monkeypatch.setattr(
        "parity.proof.cases.check_cases", lambda *_, **__: iter([GOOD, replace(bad, name="bad"), BROKEN])
    )
    with pytest.raises(SystemExit) as exit:
        main(["check", "my-linear", "--repro", str(tmp_path), "--junit", str(tmp_path / "junit.xml")])
    assert exit.value.code == 1 and sorted(p.name for p in tmp_path.iterdir()) == ["bad", "junit.xml"]
    told = capsys.readouterr().out
    assert f"written   {tmp_path}/bad/repro.py" in told and f"written   {tmp_path}/junit.xml" in told
    rows = json.loads((tmp_path / "bad" / "rows.json").read_text())["rows"]
    assert {row["place"] for row in rows} == {"update/w"}
