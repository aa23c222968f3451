"""README.md, followed by the letter in an empty folder: its pair fails where it says, and its programs run."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from parity import reference

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAIR, STEP, LOADED = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
VERDICT = re.search(r"^# (fail (.*))$", PAIR, re.MULTILINE)
CORRECTED = re.search(r"`(nnx\.LayerNorm\([^`]*\))` the pair passes", README)


def python(*words, cwd):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    result = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=cwd, env=environment)
    return result.returncode, result.stdout + result.stderr


def test_the_pair_of_sixty_seconds_fails_where_it_says_and_passes_once_corrected(tmp_path, capsys, promoting):
    """The correction is the control: the same file with it passes."""
    (tmp_path / "pair.py").write_text(PAIR)
    status, printed = python("pair.py", cwd=tmp_path)
    assert status == 0 and VERDICT[1] in printed
    wrong = "nnx.LayerNorm(8, rngs=rngs)"
    assert PAIR.count(wrong) == 1
    (tmp_path / "pair.py").write_text(PAIR.replace(wrong, CORRECTED[1]))
    runpy.run_path(str(tmp_path / "pair.py"), run_name="__main__")
    assert "pass None" in capsys.readouterr().out


def test_the_page_of_ten_minutes_shows_that_verdict():
    page = (ROOT / "docs" / "ten-minutes.md").read_text()
    assert VERDICT[1] in page and f"first wrong: {VERDICT[2]}" in page


@pytest.mark.slow
def test_the_command_blames_the_same_place(tmp_path):
    (tmp_path / "pair.py").write_text(PAIR)
    status, printed = python("-m", "parity", "check", "pair.py:pair", "--html", "page.html", cwd=tmp_path)
    assert status == 1 and f"first wrong: {VERDICT[2]}" in printed and (tmp_path / "page.html").is_file()


@pytest.mark.slow
def test_the_programs_train_and_load(tmp_path):
    """The folder and the file that they load are what the commands beside them write."""
    train = ("-m", "d2l_jax", "train", "lenet", "--data", "digits", "--epochs", "1")
    assert python(*train, cwd=tmp_path)[0] == 0
    torch.save(reference.LeNet().state_dict(), tmp_path / "checkpoint.ckpt")
    (tmp_path / "program.py").write_text(STEP + LOADED + "print(apply(params, buffers, X[:2] / 255.0)[0].shape)\n")
    status, printed = python("program.py", cwd=tmp_path)
    assert status == 0 and "(2, 10)" in printed, printed


def lost(package: Path, data: list[str]) -> list[str]:
    """Returns the files that a wheel would lack: modules in folders that are no package, others that are no data."""
    files = {file for file in package.rglob("*") if file.is_file() and file.suffix not in (".md", ".pyc")}
    modules = {file for file in files if file.suffix == ".py" and (file.parent / "__init__.py").is_file()}
    kept = {file for pattern in data for file in package.glob(pattern)}
    return sorted(str(file.relative_to(package)) for file in files - modules - kept)


def test_a_wheel_lacks_nothing():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert [lost(ROOT / package, data[package]) for package in ("d2l_jax", "parity")] == [[], []]


def test_control_a_file_that_a_wheel_would_lack_is_seen(tmp_path):
    for name in ("a/__init__.py", "a/table.json", "a/kept.json", "a/b/module.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert lost(tmp_path / "a", ["kept.json"]) == ["b/module.py", "table.json"]
