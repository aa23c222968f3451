"""Wrong options end with one line, whatever frame the parser of options puts around it."""

import sys

import pytest

from d2l_jax import cli
from d2l_jax.command_line import Arguments, ending_in_one_line, line_of
from d2l_jax.errors import InputError

BOX = """\
\x1b[31m╭─ Value error ─────────────────────────╮\x1b[0m
│ Error parsing --epochs: no type matching {None}|INT could be   │
│ instantiated from ['x'].                                       │
│                                                                │
│ Got errors:                                                    │
│ - <class 'int'>: invalid literal for int() with base 10: 'x'   │
│ ────────────────────────────────────────────────────────────── │
│ Argument helptext:                                             │
│     --epochs N                                                 │
│     Epochs in all.                                             │
│ ────────────────────────────────────────────────────────────── │
│ For full helptext, see d2l-jax --help                          │
╰────────────────────────────────────────────────────────────────╯
"""


def test_a_box_in_one_line():
    assert line_of(BOX) == "--epochs x is not right; right is --epochs N Epochs in all; d2l-jax --help tells more"


@pytest.mark.parametrize(
    "args, told",
    [
        (["train", "lenet", "--epochs", "x"], "--epochs x is not right; right is --epochs N"),
        (["train", "lenet", "--epochs", ""], "--epochs '' is not right; right is --epochs N"),
        (["train", "lenet", "--epochs", "--- ---"], "--epochs --- --- is not right; right is --epochs N"),
        (["train", "lenet", "--other=a ---- b"], "Unrecognized options: --other=a ---- b; d2l-jax --help"),
        (["train", "lenet", "--framework", "numpy"], "Expected one of ('jax', 'torch')"),
        (["trian"], "Unrecognized options: trian; Available subcommands: data, list, show, train"),
        (["train"], "Missing from d2l-jax train: NAME"),
        (["search", "lenet", "--nothing"], "--nothing"),
    ],
)
def test_a_wrong_option_is_one_line(args, told, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(args)
    out, err = capsys.readouterr()
    assert end.value.code == 2 and not out
    assert err.startswith("error: ") and told in err and err.count("\n") == 1 and "│" not in err


def test_a_small_program_tells_a_wrong_call_in_one_line(capsys):
    parser = Arguments("program")
    parser.add_argument("steps", type=int)
    assert parser.parse_args(["3"]).steps == 3
    with pytest.raises(SystemExit) as end, ending_in_one_line():
        parser.parse_args(["x"])
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: argument steps: invalid int value: 'x'; --help tells more\n"


def test_control_what_else_is_written_stays_as_it_is(capsys):
    before = sys.stderr
    with pytest.raises(SystemExit), ending_in_one_line():
        print("progress ╭─ of a command", file=sys.stderr)
        raise InputError("the file is damaged")
    assert capsys.readouterr().err == "progress ╭─ of a command\nerror: the file is damaged\n"
    assert sys.stderr is before


@pytest.mark.parametrize("error, status", [(OSError("disk full"), 2), (KeyboardInterrupt(), 130)])
def test_what_the_machine_ends_is_told(error, status, capsys):
    with pytest.raises(SystemExit) as end, ending_in_one_line("stopped"):
        raise error
    assert end.value.code == status
    assert capsys.readouterr().err == f"error: {'stopped' if status == 130 else 'disk full'}\n"
