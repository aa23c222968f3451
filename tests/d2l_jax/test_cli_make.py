"""The Makefile and `.ci/run`: `make` alone lists the targets, and only `.ci/run` looks for data beside the clone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from d2l_jax.catalog import get

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
PRINTS_DATA = "lint test:\n\t@echo $@ $(D2L_DATA)\n"
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def run(*command: str, folder: Path = ROOT, **env: str) -> str:
    """Returns the output of a command that inherits nothing from the make that runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if "MAKE" not in name and name != "D2L_DATA"}
    return subprocess.run(command, cwd=folder, env=inherited | env, capture_output=True, text=True, check=True).stdout


def test_make_alone_is_make_help_and_lists_every_target():
    shown = run("make")
    assert shown == run("make", "help")
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[1].split()  # type: ignore[index]
    assert [line.split()[0] for line in shown.splitlines()[1:]] and len(targets) > 5
    assert {line.split()[0] for line in shown.splitlines()[1:]} == set(targets)


def test_make_run_trains_proves_and_says_what_to_look_at():
    commands = run("make", "--dry-run", "--old-file=venv", "run")
    names = re.search(r"parity check ([a-z0-9 -]+?) --html", commands)[1].split()  # type: ignore[index]
    assert [get(name).name for name in names] == names and len(names) < 10
    assert commands.index("d2l-jax train") < commands.index("parity check") < commands.index("Look at")
    assert "--all" not in commands and "--data digits" in commands
    assert "parity check --all" in run("make", "--dry-run", "--old-file=venv", "check-all")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Makes a clone with a folder of data beside it."""
    (tmp_path / "shared/data").mkdir(parents=True)
    shutil.copytree(ROOT / ".ci", tmp_path / "clone/.ci")
    return tmp_path / "clone"


def test_make_reads_nothing_beside_the_clone(clone: Path):
    (clone / "Makefile").write_text(MAKEFILE)
    assert "D2L_DATA" not in run("make", "--print-data-base", folder=clone)
    assert "../" not in MAKEFILE


def test_control_a_variable_of_make_is_seen(clone: Path):
    (clone / "Makefile").write_text("export D2L_DATA ?= $(wildcard ../shared/data)\n" + MAKEFILE)
    assert "D2L_DATA" in run("make", "--print-data-base", folder=clone)


def test_ci_names_the_data_beside_the_clone_where_there_is_some(clone: Path):
    (clone / "Makefile").write_text(PRINTS_DATA)
    data = str((clone / "../shared/data").resolve())
    assert run(".ci/run", folder=clone) == f"lint {data}\ntest {data}\n"
    assert run(".ci/run", folder=clone, D2L_DATA="/other") == "lint /other\ntest /other\n"
    shutil.rmtree(clone / "../shared")
    assert run(".ci/run", folder=clone) == "lint\ntest\n"
