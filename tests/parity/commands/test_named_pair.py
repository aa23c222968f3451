"""`parity check MODULE:FUNCTION`, and calls that are refused before anything runs."""

import json
import subprocess
import sys

import pytest
from written import ROOT

from parity.cli import main

MODULE = """
import numpy as np, torch
from flax import nnx
import parity

class Net(nnx.Module):
    def __init__(self, factor=1):
        self.fc, self.factor = nnx.Linear(3, 5, rngs=nnx.Rngs(0)), factor
    def __call__(self, x):
        return self.factor * self.fc(x)

class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 5)
    def forward(self, x):
        return self.fc(x)

x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
def pair(): return Net(), Theirs(), x
def wrong(): return dict(model=Net(1.001), torch_model=Theirs(), inputs=x, steps=2, tiers=("float64",))
def checked(): return parity.check(Net(), Theirs(), x, steps=1, tiers=("float64",))
def number(): return 3
def four(): return Net(), Theirs(), x, {}
def misspelt(): return dict(model=Net(), torch_modl=Theirs(), inputs=x)
def raising(): return 1 / 0
def swapped(): return Theirs(), Net(), x
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "their_nets.py").write_text(MODULE)
    (tmp_path / "empty.py").touch()
    (tmp_path / "half.py").write_text("import no_such_package")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "their_nets", raising=False)
    return tmp_path


def run(*args):
    with pytest.raises(SystemExit) as exit:
        main([str(arg) for arg in args])
    return exit.value.code


def test_pairs_of_ones_own_stand_beside_cases(folder, capsys):
    names = ("their_nets:pair", "my-linear", "my-linear", "their_nets.py:checked")
    assert run("check", *names, "--steps", "1", "--json", "all.json") == 0
    cases = json.loads((folder / "all.json").read_text())["cases"]
    assert [case["name"] for case in cases] == ["my-linear", "their_nets:pair", "their_nets.py:checked"]
    assert {case["coverage"]["steps"] for case in cases} == {1} and "3 of 3 cases pass" in capsys.readouterr().out


@pytest.mark.slow
def test_a_pair_that_differs_is_placed_and_its_own_options_count(folder, capsys):
    assert run("check", "their_nets:wrong", "--json", "all.json", "--html", "all.html", "--repro", "repro") == 1
    (case,) = json.loads((folder / "all.json").read_text())["cases"]
    assert case["coverage"]["steps"] == 2 and {phase["tier"] for phase in case["phases"]} == {"float64"}
    assert "Flax is 1.001 times PyTorch" in capsys.readouterr().out
    assert "Flax is 1.001 times PyTorch" in (folder / "all.html").read_text().split("<h2>")[0]
    assert (folder / "repro" / "their_nets-wrong" / "repro.py").is_file()


NOT_PAIRS = {
    "their_nets:number": "the function returns int; a tuple (flax_model, torch_model, inputs), or a dict",
    "their_nets:four": "the function returns a tuple of 4; a tuple (flax_model, torch_model, inputs), or a dict",
    "their_nets:misspelt": "'torch_modl'; did you mean torch_model",
    "their_nets:raising": "the function raises ZeroDivisionError: division by zero (their_nets.py, line 26)",
    "their_nets:swapped": "Flax's comes first",
    "their_nets:pare": "unknown function of their_nets 'pare'; did you mean pair",
    "no_such:pair": "there is no module 'no_such' here",
    "none.py:pair": "there is no file none.py",
    "half:pair": "half does not load: ModuleNotFoundError: No module named 'no_such_package'",
    "empty:pair": "empty has no 'pair'; a function that returns (flax_model, torch_model, inputs) is right",
    ":pair": "MODULE:FUNCTION has no module",
}


def test_what_is_no_pair_is_one_line_each_and_status_2(folder, capsys):
    assert run("check", *NOT_PAIRS) == 2
    lines = capsys.readouterr().out.splitlines()
    for name, words in NOT_PAIRS.items():
        (line,) = [line for line in lines if line.startswith(f"{name}: ")]
        assert words in line
    progress = [line for line in lines if line.startswith("[")]
    assert len(lines) == len(progress) + len(NOT_PAIRS), "no table of what was not compared"


def test_one_pair_that_is_none_is_one_line_in_all(folder, capsys):
    assert run("check", "none.py:pair") == 2
    assert capsys.readouterr() == ("none.py:pair: there is no file none.py\n", "")


OTHER = """
from dataclasses import dataclass
from {neighbour} import value
@dataclass
class Settings:
    value: int = value
def pair(): raise ValueError(f"{{Settings().value}} of {{__name__}}")
"""


@pytest.fixture
def files(folder):
    """Files of the same names in two folders, one of Python's own names, one with a dot, and one within a package."""
    for number, name in enumerate(("a", "b", "pkg")):
        (folder / name).mkdir()
        (folder / name / "neighbour.py").write_text(f"value = {number}")
        for file in ("net.py", "random.py", "net.v2.py"):
            (folder / name / file).write_text(OTHER.format(neighbour=".neighbour" if name == "pkg" else "neighbour"))
    (folder / "pkg" / "__init__.py").touch()
    return folder


def test_each_file_is_itself_and_has_its_own_neighbours(files, capsys):
    import random as pythons

    names = [
        "a/net.py:pair",
        "b/net.py:pair",
        "a/random.py:pair",
        "b/net.v2.py:pair",
        "pkg/net.py:pair",
        "a/net.py:pair",
    ]
    assert run("check", *names) == 2
    seen = capsys.readouterr().out
    for name, value in zip(names, ("0 of net", "1 of net", "0 of random of ", "1 of net.v2 of ", "2 of pkg.net")):
        file = name.partition("/")[2].removesuffix(":pair")
        (line,) = [line for line in seen.splitlines() if line.startswith(f"{name}: ")]
        assert f"the function raises ValueError: {value}" in line and f"({file}, line 7)" in line
    assert sys.modules["random"] is pythons and sys.modules["parity.cli"]


@pytest.mark.parametrize(
    "args, words",
    [
        (["my-linear", "--steps", "0"], "--steps 0 is too few"),
        (["my-linear", "--json", "a", "--html", "a"], "--json and --html are both a"),
        (["my-linear", "--json", "-", "--html", "-"], "--json and --html are both -"),
        (["my-linear", "--html", "."], "cannot write .: it is a folder"),
        (["my-linear", "--junit", "file/x"], "cannot write file/x"),
        (["my-linear", "--repro", "file"], "cannot write file: it is no folder"),
        (["their_nets.py"], "their_nets.py is a file; their_nets.py:FUNCTION, which returns a pair, is right"),
        (["their_nets:pair", "--full"], "--devices and --full are for cases"),
        (["their_nets:pair", "--devices", "2"], "--devices and --full are for cases"),
    ],
)
def test_options_are_looked_at_before_anything_runs(folder, args, words, capsys):
    (folder / "file").write_text("")
    assert run("check", *args) == 2
    seen = capsys.readouterr()
    assert words in seen.err and seen.err.count("\n") == 1 and not seen.out
    assert {path.name for path in folder.iterdir()} <= {"file", "their_nets.py", "empty.py", "half.py"}


@pytest.mark.parametrize("command", ["parity", "d2l_jax"])
def test_the_version(command):
    done = subprocess.run([sys.executable, "-m", command, "--version"], capture_output=True, text=True, cwd=ROOT)
    name, version = done.stdout.split()
    assert name == command.replace("_", "-") and version[0].isdigit() and not done.returncode


BROKEN = "raise OSError('libtorch.so: no such file')"
COMMANDS = (
    "check my-linear", "bench my-linear", "convert a b --model lenet", "selftest", "mutants",
    "record lenet --side torch --out a.npz",
)  # fmt: skip
EACH = """
import sys
from parity.cli import main
for command in sys.argv[1:]:
    try:
        main(command.split())
    except SystemExit as exit:
        print(exit.code)
"""


@pytest.mark.slow
@pytest.mark.parametrize("torch", [BROKEN, None], ids=["broken", "missing"])
def test_without_pytorch_every_command_is_one_line_and_status_2(tmp_path, torch):
    hidden = "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')"
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(torch or hidden)
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", EACH, *COMMANDS], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    words = "does not load: OSError: libtorch.so: no such file" if torch else "is not installed: pip install"
    assert done.stdout.split() == ["2"] * len(COMMANDS), done.stderr
    assert [words in line and line.startswith("error: ") for line in done.stderr.splitlines()] == [True] * len(COMMANDS)


def test_without_pytorch_the_package_says_so_in_one_line(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(BROKEN)
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "", "HOME": str(tmp_path)}
    code = "import parity\ntry:\n    parity.check\nexcept ImportError as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "PyTorch is installed, but does not load: OSError" in done.stdout and done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "closed, words, status",
    [("> /dev/full", "error: [Errno 28] No space left", 2), pytest.param(">&-", "", 1, marks=pytest.mark.slow)],
)
def test_an_output_that_cannot_be_written_is_one_line(tmp_path, closed, words, status):
    (tmp_path / "pair.py").write_text("import parity\nresult = parity.Result('a', 'b', 0)\n")
    call = "from parity.cli import main; main(['check', 'pair.py:result'])"
    command = f'{sys.executable} -W ignore -c "{call}" {closed}'
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/bin:/usr/bin", "HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    begins, *rest = [line for line in done.stderr.splitlines() if not line.endswith("so far")]  # on a slow machine
    assert begins == "[1/1] pair.py:result begins"
    assert len(rest) == bool(words) and "".join(rest).startswith(words)
