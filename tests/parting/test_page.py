"""The page where the frameworks part is what its program writes, and every test that it names exists."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs" / "programs"))

from parting import page, table  # noqa: E402
from written import exists  # noqa: E402


def test_the_page_is_what_the_program_writes():
    assert (ROOT / "docs" / "parting.md").read_text() == page(table()), "`make parting` renews it"


@pytest.mark.parametrize("row", table()["row"], ids=lambda row: row["test"].rpartition("::")[2])
def test_the_test_of_a_row_exists(row):
    assert exists(row["test"]), row["test"]
    assert set(row) == {"topic", "behaviour", "source", "test"}


def test_every_test_of_this_folder_is_named():
    named = {row["test"] for row in table()["row"]}
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        names = [node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
        tests = {f"tests/parting/{file.name}::{name}" for name in names if name.startswith("test_")}
        assert file.name == "test_page.py" or tests <= named, tests - named


def test_control_a_test_that_is_nowhere_is_seen():
    assert not exists("tests/parting/test_page.py::test_nothing")
    assert not exists("tests/parting/test_nothing.py::test_the_test_of_a_row_exists")


def test_control_another_row_makes_another_page():
    told = table()
    changed = told | {"row": [told["row"][0] | {"behaviour": "Something else."}, *told["row"][1:]]}
    assert page(changed) != page(told)
