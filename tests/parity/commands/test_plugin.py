"""The pytest plugin in test runs of its own: what passes, what a failure says, and what loading it costs."""

import os
import subprocess
import sys

import pytest
from small_results import BAD, BROKEN, GOOD
from written import ROOT

pytest_plugins = ["pytester"]
USED = 'pytest_plugins = ["parity.plugin"]\n'
PAIRS = """
import numpy as np, torch
from flax import nnx
import parity

class Net(nnx.Module):
    def __init__(self, factor):
        self.layers, self.factor = nnx.List([nnx.Linear(3, 5, rngs=nnx.Rngs(0))]), factor
    def __call__(self, x):
        return self.factor * self.layers[0](x)

torch_model = torch.nn.Sequential(torch.nn.Linear(3, 5))
x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)

def test_same(check_parity):
    result = check_parity(Net(1), torch_model, x, steps=1, tiers=("float64",))
    assert result and isinstance(result, parity.Result)  # the package is in sight
def test_differs(check_parity): check_parity(Net(1.0001), torch_model, x, steps=1, tiers=("float64",))
def test_wrong(parity): parity("lennet")  # the older name
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.slow
def test_what_is_the_same_passes_and_what_differs_fails_and_says_where(pytester):
    """Runs in a process of its own: within this one, pytester would unload PyTorch behind its back."""
    pytester.makeconftest(USED)
    pytester.makepyfile(PAIRS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rA")
    result.assert_outcomes(passed=1, failed=2)
    text = result.stdout.str()
    for line in ("PASSED *::test_same", "FAILED *::test_differs*", "FAILED *::test_wrong*"):
        result.stdout.fnmatch_lines([f"*{line}"])
    assert "Net: Flax and PyTorch differ in " in text and "float64 evaluation/loss: gap " in text
    assert "first wrong: the model's own body" in text and "layer forward" not in text  # the layer itself is right
    assert "unknown model 'lennet'; did you mean lenet" in text and "plugin.py" not in text.split("test_wrong")[0]


def test_the_message_starts_with_the_guilty_and_the_worst():
    lines = repr(BAD).splitlines()
    assert lines[0] == "bad: Flax and PyTorch differ in 10 of 11 comparisons"
    assert lines[1].strip().startswith("first wrong: bn (BatchNorm2d), buffers")
    assert len(lines) == 9
    assert "missing in Flax" in lines[2] and "after 5 steps/conv.weight: gap 4.0e-02, threshold 1.0e-13" in lines[3]
    assert lines[-2].strip() == "... and 5 more" and "drawn at random" in lines[-1]
    assert repr(BROKEN) == "broken: TypeError: <x> & y"


def test_control_a_passing_result_has_nothing_to_name():
    assert repr(GOOD).startswith("good: pass; 14 comparisons: ") and "differ" not in repr(GOOD)


def test_loading_it_imports_neither_framework():
    code = "import sys, parity.plugin; print({'torch', 'jax', 'numpy'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert process.stdout == "set()\n", process.stderr


def test_installed_it_is_found_and_may_be_named_again(pytester):
    """Uses the entry point of pyproject.toml, in a process of its own."""
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    info = pytester.mkdir("parity_installed-1.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parity-installed\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest11]\n" + "\n".join(f"{k} = {v}" for k, v in declared.items()))
    os.environ["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(pytester.path)))
    pytester.makepyfile("def test_it(check_parity, parity): assert callable(check_parity) and parity is check_parity")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    pytester.makeconftest(USED)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
