"""What a check tells while it works: phases to its listener, and nothing to anybody else."""

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console

import parity
from d2l_jax.catalog import CASES, get
from d2l_jax.runs.progress import Terminal
from parity.listening import heard_by, listening
from parity.output import console_beside
from parity.progress import Watch
from parity.proof.cases import check_cases, in_order_of_work
from parity.proof.size import Size, size_of
from parity.result import Result

NAMES = ("my-linear", "linear-regression")
STEPS = [f"step {number} of 2, {what}" for number in (1, 2) for what in ("PyTorch", "float64", "float32")]
PHASES = [
    "two models",
    *STEPS,
    "numbers that are exactly 0",
    "all steps in a row",
    "layers on their own",
    "fresh models",
]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_every_phase_of_a_case_is_heard_in_its_order(jobs):
    heard: dict[str, list[str]] = {}
    listener = lambda name, phase: heard.setdefault(name, []).append(phase)  # noqa: E731
    results = list(check_cases([get(name) for name in NAMES], jobs=jobs, listener=listener, steps=2))
    assert {result.status for result in results} == {"pass"}
    assert heard == dict.fromkeys(NAMES, PHASES)


def test_a_phase_that_is_left_out_is_not_heard():
    heard: list[str] = []
    list(check_cases([get("my-linear")], listener=lambda _, phase: heard.append(phase), steps=1, layers=False))
    shorter = [*PHASES[:4], "numbers that are exactly 0", "fresh models"]
    assert heard == [phase.replace("of 2", "of 1") for phase in shorter]


def test_a_call_of_the_library_prints_nothing(capfd):
    assert parity.check("my-linear", steps=1, layers=False).status == "pass"
    assert capfd.readouterr() == ("", "")


def shown(terminal: bool, width: int = 60) -> str:
    file = io.StringIO()
    watch = Watch(2, Console(width=width, file=file, force_terminal=terminal))

    def working() -> Iterator[Result]:
        watch.hear("lenet", "two models")
        watch.hear("lenet", "step 3 of 5, float32")
        watch.bar.refresh()
        yield Result("lenet", "7.6", 1)
        watch.hear("vgg11", "step 1 of 5, PyTorch")
        watch.bar.refresh()
        yield Result("vgg11", "8.2", 1)

    assert [result.name for result in watch.over(working())] == ["lenet", "vgg11"]
    return file.getvalue()


def test_a_terminal_shows_the_phase_of_what_runs():
    text = shown(terminal=True)
    assert "lenet: step 3 of 5, float32" in text and "vgg11: step 1 of 5, PyTorch" in text
    assert "lenet: step" not in text.split("vgg11: step")[1]


def test_a_phase_is_cut_where_the_terminal_ends():
    assert "lenet: step 3 of 5…" in shown(terminal=True, width=19)


def test_a_file_has_no_phases_and_standard_error_says_what_begins(capsys):
    assert shown(terminal=False) == "[1/2] lenet error\n[2/2] vgg11 error\n"
    assert capsys.readouterr().err == "[1/2] lenet begins\n[2/2] vgg11 begins\n"


def test_what_is_refused_has_no_line_of_its_own_its_error_says_all(capsys):
    file = io.StringIO()
    refused = Result("pair.py:pair", "", 0, error="there is no file pair.py", refused=True)
    assert list(Watch(1, Console(file=file)).over(iter([refused]))) == [refused]
    assert file.getvalue() == "" and capsys.readouterr().err == ""


def test_a_call_of_the_library_tells_its_phases_to_standard_error_or_to_a_command(capsys):
    heard: list[tuple[str, str]] = []
    with heard_by(lambda *phase: heard.append(phase)), listening("parity.check") as hear:
        hear("Net", "which tensor is which")
    assert heard == [("Net", "which tensor is which")]
    with listening("parity.check") as hear:
        hear("Net", "layers on their own")
    assert len(heard) == 1 and capsys.readouterr().err == "", "a short call is quiet"


def test_control_on_a_terminal_no_line_says_what_begins(capsys):
    shown(terminal=True)
    assert capsys.readouterr().err == ""


def test_a_notebooks_pipe_has_colours_and_no_bar(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = console_beside()
    assert console.is_terminal and not console.is_interactive
    assert Terminal().bar.disable
    assert list(Watch(1, console).over(iter([Result("lenet", "7.6", 1)])))
    assert capsys.readouterr().out == "[1/1] lenet error\n"


def test_workers_get_the_shortest_case_and_then_the_longest_first():
    some = CASES[::8]
    sizes = {case.name: size_of(case) for case in some}
    order = in_order_of_work(some, sizes)
    work = [sizes[case.name].work for case in order]
    assert sorted(case.name for case in order) == sorted(case.name for case in some)
    assert work[0] == min(work) and work[1:] == sorted(work[1:], reverse=True)
    assert [case.name for case in order] != [case.name for case in some]


def test_a_size_counts_tensors_and_slots_without_allocating_the_model():
    assert size_of(get("linear-regression")) == Size(2, 4)
    assert size_of(get("vgg11"), full=True) == Size(22, 128_806_154)
    assert size_of(get("lenet5")) == Size(10, 36_791, 2 * 36_791 + 1)  # of Adam: two for each, and a count


def test_control_a_model_that_cannot_be_built_has_no_size():
    broken = replace(get("lenet"), probe={"no": "such argument"})
    assert size_of(broken) == Size()
