"""Every program of the study notes runs, in a quick form and without data, and says what is exact; their table."""

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path

import matplotlib.pyplot  # noqa: F401, before HOME changes: it looks for fonts there
import pytest

from d2l_jax.data.drawn.bananas import bananas
from d2l_jax.data.find.embedded import BUILT_IN

ROOT = Path(__file__).parent.parent
NOTES = ROOT / "examples" / "notes"
spec = importlib.util.spec_from_file_location("notes_command", NOTES / "__main__.py")
notes = importlib.util.module_from_spec(spec)
sys.modules["notes_command"] = notes
spec.loader.exec_module(notes)

# Of each program: parts of what it prints that hold on any machine; {} stands for a number that is not compared.
PROMISES = {
    "A1": ["JAX      errors of w [", "PyTorch  errors of w ["],
    "A2": ["data     digits: embedded default", "epoch 30: loss 0.4072, accuracy 0.8609"],
    "A3": ["JAX      epoch 1: loss 2.30"],
    "A4": ["JAX      test accuracy"],
    "A5": ["data     digits: embedded default"],
    "A6": [
        "JAX      goes on bit for bit: True", "JAX      with a new optimiser: False",
        "PyTorch  goes on bit for bit: True", "PyTorch  with a new optimiser: False",
    ],
    "A7": [
        "JAX      57 of 57", "PyTorch  57 of 57", "(28, 30) -> (28, 15)",
        "k 7, p 3: 28 -> 28 with s 1, 14 with s 2, 7 with s 4",
    ],
    "A8": ["by hand and with Optax the same: True"],
    "A9": ["JAX      from scratch: errors", "PyTorch  with layers:  errors"],
    "A10": ["lr 0.5: loss {} after epoch 1"],
    "A11": ["JAX      loss after each epoch 2.2"],
    "A12": ["JAX      weight 29.997"],
    "A13": ["JAX      dy = 3x^2: True, d2y = 6x: True", "PyTorch  dy = 3x^2: True, d2y = 6x: True"],
    "A14": ["notes    10, 256, 0.0001: 2.349", "JAX      10, 16, 0.1: 0.83"],
    "A15": ["JAX      train loss 2.2"],
    "A16": [
        "degree 19", "dropout 0 keeps all: True and 1 none: True", "two calls in training differ: True",
        "JAX      two rates: [0.9 0.9] [0. 0.]", "PyTorch  two rates: [0.9 0.9] [0. 0.]", "changing rate: True",
    ],
    "A17": ["JAX      2 x.x gives 4x: True", "PyTorch  through while and if: f(a) / a: True", "add up: True"],
    "3.1.1": ["JAX      least squares at 3.2580, most likely mean 3.2580", "PyTorch  least squares at 3.2580"],
    "3.1.2": ["rank of X^T X 2 of 3", "pseudo-inverse [ 1.  -3.4  1. ]"],
    "3.1.3": ["-log likelihood 304.{} = n log 2 + sum |e| 304."],
    "3.2.1": [
        "from 0.0: moved False, all equal True", "from 0.1: moved True, all equal True",
        "from random numbers: all equal False",
    ],
    "3.2.2": ["resistance {} ohm, spread {}, in theory 0.0429"],
    "3.2.3": ["T from 5772.000000 to 5772.000000", "PyTorch  by gradient descent from 3000 K: 5772.0 K"],
    "3.2.4": ["JAX      float32: best", "JAX      float64: best"],
    "3.2.5": ["(100, 100) in place of (100, 1)", "right labels: w, b [ 2.002 -3.4    4.202]", "refuses labels (100,)"],
    "3.2.6": ["JAX      2 / L = ", "1.05 of it"],
    "3.2.7": [
        "JAX      20 batches of 48, one of 40", "PyTorch  20 batches of 48, one of 40", "every example once: True",
        "with drop_last lost: 40",
    ],
    "3.3.1": ["lr / 10: largest gap"],
    "3.3.2": ["15 of 15 initialisers alike", "21 losses, largest gap"],
    "3.3.3": ["equal to rounding: True"],
    "3.4.1": ["variance of 200,000 drawn labels"],
    "3.4.2": ["entropy 1.585 bits", "1 alone 2.000, 5 together 1.600", "different codes: 243 of 243"],
    "3.4.3": ["to 0.69{}; log 2 = 0.6931", "soft minimum below the minimum: True"],
    "3.5.1": ["JAX      examples a second: batch 1 "],
    "3.5.2": ["JAX      an epoch as one scan: "],
    "3.5.3": ["JAX      {} of {} sets", "fashion_mnist  not on this machine; digits stands in for it"],
    "3.6.1": ["exp(100) = inf", "plain softmax of 100, 99, 0: [nan nan  0.]", "PyTorch  torch.softmax"],
    "3.6.2": ["JAX      -log p: inf", "JAX      -log_softmax: 120.0", "PyTorch  -log p: inf"],
    "3.6.3": ["on scores: loss 20000, gradient [ 1. -1.  0.]", "guarded: loss 27.631", "plain: loss inf"],
    "3.6.4": ["least expected cost", "treated from p = 0.0099"],
    "3.6.5": ["10000 classes: {} ms, loss {}, largest p {}, lead for p = 1/2 9.2"],
    "3.7.1": ["JAX      test accuracy: lr 0.001"],
    "3.7.2": ["JAX      stopped after epoch 1"],
}  # fmt: skip
# Programs whose two sides say the same numbers, as far as this many relative places.
SIDES_AGREE = {"A2": 1e-3, "A5": 1e-2, "A8": 1e-3, "A10": 1e-2, "A11": 1e-3, "A12": 1e-4, "A14": 1e-3, "A15": 1e-2}
# Programs whose lines are the stored ones, letter for letter, on any machine.
EXACT = ("A6", "A7", "A13", "A17", "3.1.1", "3.2.7", "3.4.2", "3.6.2")
# Programs that take seconds even so.
SLOW = (
    "A4", "A5", "A8", "A14", "A15", "A16", "3.1.2", "3.2.6", "3.3.1", "3.3.2", "3.4.1", "3.4.3", "3.5.2", "3.5.3",
    "3.6.5", "3.7.2",
)  # fmt: skip
DIGITS = r"[-+]?[\d.]+(?:e[-+]?\d+)?"


@pytest.fixture
def quick(set_jax, monkeypatch, tmp_path):
    """Runs programs for one epoch, as a user's without any data would run: in float32."""
    set_jax("jax_enable_x64", False)
    set_jax("jax_disable_most_optimizations", True)
    for variable in ("D2L_DATA", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("NOTES_EPOCHS", "1")
    monkeypatch.setitem(BUILT_IN, "drawn_bananas", lambda seed: bananas(2, 1, seed=seed))
    monkeypatch.chdir(tmp_path)


def kept(promise, printed):
    return re.search(re.escape(promise).replace(r"\{\}", DIGITS), printed)


def stored():
    """The answers of full runs, by program."""
    return json.loads((ROOT / "docs" / "stored" / "notes.json").read_text())


def numbers(lines):
    """The numbers of lines, without those that are followed by seconds."""
    return [float(number) for line in lines for number in re.findall(rf"(?<![\w.])({DIGITS})(?! s|[\w.])", line)]


def test_every_row_of_the_notes_has_a_program():
    rows = [f"A{i}" for i in range(1, 18)]
    rows += [f"3.{section}.{i}" for section, n in enumerate((3, 7, 3, 3, 3, 5, 2), 1) for i in range(1, n + 1)]
    assert list(notes.programs()) == rows == list(PROMISES) and len(rows) == 43


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in PROMISES]
)
def test_a_program_answers(name, quick, tmp_path, capsys):
    (program,) = notes.chosen([name])
    answer = notes.answer(program, tmp_path)
    printed = capsys.readouterr().out
    assert not [promise for promise in PROMISES[name] if not kept(promise, printed)], printed
    assert {"JAX", "notes"} <= answer.lines.keys() and "JAX" in answer.seconds
    source = program.path.read_text()
    assert bool(list(tmp_path.glob("*.png"))) == ("plt.show()" in source)
    if "images.source" in source or "houses.source" in source:
        assert re.match(r"data     (digits|diabetes): embedded default", printed)
    if name in EXACT:
        assert answer.lines == stored()[name]["lines"]
    if name in SIDES_AGREE:
        ours, theirs = (numbers(answer.lines[side]) for side in notes.SIDES)
        assert theirs and ours[-len(theirs) :] == pytest.approx(theirs, rel=SIDES_AGREE[name])


def test_control_a_wrong_answer_is_seen(quick, tmp_path, capsys):
    right = notes.chosen(["A12"])[0]
    wrong = tmp_path / "a12_wrong.py"
    wrong.write_text(right.path.read_text().replace("30.0", "30").replace("LR = 0.01", "LR = 0.001"))
    answer = notes.answer(right._replace(path=wrong))
    assert not kept(PROMISES["A12"][0], capsys.readouterr().out)
    wrong.write_text(right.path.read_text().replace("lr=LR", "lr=2 * LR"))
    answer = notes.answer(right._replace(path=wrong))
    ours, theirs = (numbers(answer.lines[side]) for side in notes.SIDES)
    assert ours != pytest.approx(theirs, rel=SIDES_AGREE["A12"])


@pytest.mark.parametrize("name", PROMISES)
def test_a_program_is_a_page(name):
    """Cells of Markdown are strings, the first of them the head; every other cell is a whole piece of Python."""
    source = notes.programs()[name].path.read_text()
    titles, codes = zip(*notes.cells(source), strict=True)
    assert titles[0] == "[markdown]" and source.startswith("# %% [markdown]\n")
    head = ast.get_docstring(ast.parse(source))
    assert head.startswith(f"# {name}. " if name[0] == "A" else f"# {name} ")
    assert "Chinese" in head and "nglish edition" in head
    for title, code in zip(titles, codes, strict=True):
        (*_, last) = ast.parse(code).body
        text = isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant)
        assert text == (title == "[markdown]"), title


def test_the_command_runs_programs_and_keeps_their_answers(set_jax, tmp_path, capsys):
    set_jax("jax_enable_x64", False)
    answers = tmp_path / "answers.json"
    notes.main(["a12", "3.4.2", "--answers", str(answers), "--pictures", str(tmp_path), "--markdown", "-"])
    assert json.loads(answers.read_text())["3.4.2"]["lines"]["JAX"][0] == "entropy 1.585 bits"
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| [")]
    assert [row.split("]")[0] for row in rows] == ["| [A12", "| [3.4.2"]
    assert "weight 29.9993, bias 0.0008" in rows[0] and "weight 29.997" in rows[0]
    assert (tmp_path / "ex3_4_2_three_classes-1.png").is_file()


def test_the_stored_page_has_every_answer():
    """The page in the repository is what the stored answers give."""
    answers = stored()
    assert set(answers) == set(PROMISES)
    assert notes.page(answers) == (ROOT / "docs" / "notes.md").read_text()


def test_control_a_changed_answer_is_seen():
    answers = stored()
    answers["A12"]["lines"]["JAX"] = ["weight 30.0000, bias 0.0000"]
    assert notes.page(answers) != (ROOT / "docs" / "notes.md").read_text()


def test_the_command_lists_and_refuses(capsys):
    notes.main([])
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 43 and listed[6] == "A7     The size behind a convolution or a pool"
    for wrong, near in (("A177", "did you mean a17"), ("3.7.3", "3.7.2")):
        with pytest.raises(SystemExit) as stop:
            notes.main([wrong])
        error = capsys.readouterr().err
        assert stop.value.code == 2 and error.startswith("error: unknown program") and near in error


def test_the_long_ones_can_be_left_out(monkeypatch):
    ran = []
    monkeypatch.setattr(notes, "answer", lambda program, _: ran.append(program.name) or notes.Answer({}, {}))
    notes.main(["--all", "--skip-long"])
    assert len(ran) == 43 - len(notes.LONG) and not set(ran) & set(notes.LONG)


def test_stored_answers_name_no_folder_of_a_machine():
    assert notes._without_folder("mnist: idx files in /data/mnist") == "mnist: idx files"
    assert notes._without_folder("mnist: digits, embedded in scikit-learn") == "mnist: digits, embedded in scikit-learn"
    assert [line for answer in stored().values() for line in answer["lines"].get("data", ()) if "/" in line] == []
