"""`d2l-jax list` and `show`: rows as the cases have them, and no word cut at any width."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from d2l_jax.catalog import get
from d2l_jax.runs.listing import parameters, rows
from d2l_jax.runs.overview import overview, overview_table, save, stale

COMMAND = [sys.executable, "-c", "from d2l_jax.cli import main; main()"]
Words = list[list[str]]  # of each line


def in_a_file(*args: str, columns: int = 80) -> Words:
    """Runs the command with its output in a pipe."""
    env = os.environ | {"COLUMNS": str(columns)}
    ended = subprocess.run([*COMMAND, *args], capture_output=True, text=True, env=env, check=True)
    return words(ended.stdout)


def on_a_terminal(*args: str, columns: int) -> Words:
    """Runs the command on a terminal of so many columns."""
    master, slave = pty.openpty()
    env = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen([*COMMAND, *args], stdout=slave, env=env) as process:
        os.close(slave)
        pieces = list[bytes]()
        while piece := read(master):
            pieces.append(piece)
    os.close(master)
    assert process.returncode == 0
    return words(Text.from_ansi(b"".join(pieces).decode().replace("\r\n", "\n")).plain)


def read(terminal: int) -> bytes:
    """Reads the next piece; b"" at the end, which Linux calls an error."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def words(text: str) -> Words:
    return [line.split() for line in text.splitlines()]


LIST = [["section", "Chinese", "edition", "name", "parameters", "data", "set"]]
LIST += [
    f"{row['section']} {row['section_zh'] or '-'} {row['name']} {row['parameters']:,} {row['data'] or '-'}".split()
    for row in overview()
]


def test_the_rows_are_those_of_the_cases():
    """Their numbers of parameters are compared in `test_models.py`, where every model is built."""
    listed = {row["name"]: row["parameters"] for row in overview()}
    line = stale(overview(), rows(lambda case: listed.get(case.name, 0)))
    assert not line, line


@pytest.mark.parametrize("name", ["lenet", "gan", "seq2seq"])
def test_parameters_are_counted(name: str):
    (row,) = (row for row in overview() if row["name"] == name)
    assert parameters(get(name)) == row["parameters"]


def test_control_a_stale_row_is_named_with_the_command_that_renews_it():
    fresh = overview()
    changed = [row | {"parameters": 7} if row["name"] == "lenet" else row for row in fresh]
    assert stale(changed, fresh) == "overview.json is stale (lenet); `make overview` renews it"
    assert stale([row for row in fresh if row["name"] != "gan"], fresh).startswith("overview.json is stale (gan)")
    assert stale(fresh[::-1], fresh).startswith("overview.json is stale (the order)")


def test_rows_are_read_as_they_were_saved(tmp_path: Path):
    save(overview(), tmp_path / "overview.json")
    assert overview(tmp_path / "overview.json") == overview()


@pytest.mark.parametrize("columns", [20, 200])
def test_the_list_is_whole_at_any_width(columns: int):
    assert in_a_file("list", columns=columns) == LIST
    assert on_a_terminal("list", columns=columns) == LIST


def test_details_are_whole_at_any_width():
    lines = in_a_file("show", "gan", columns=40)
    assert ["net_D.0", "Linear", "8x5", "15", "kernel", "2x5,", "bias", "5"] in lines
    assert on_a_terminal("show", "gan", columns=40) == lines


def test_control_a_narrow_console_alone_cuts_numbers():
    console = Console(file=io.StringIO(), width=40)
    console.print(overview_table(overview()))
    assert words(console.file.getvalue()) != LIST  # type: ignore[attr-defined]
