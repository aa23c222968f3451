"""The benchmark of the check itself, and how the check grows."""

import json
import os
from dataclasses import replace
from functools import partial

import jax
import pytest

from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.functional import functional
from parity.bench.check_growth import (
    BASE,
    SIZES,
    CheckGrowth,
    NetworkSize,
    check_growths,
    flax_network,
    ready,
    torch_network,
)
from parity.bench.check_growth_report import growth_json, growth_markdown, growth_picture, growth_table, phase_slopes
from parity.bench.check_report import PHASES, check_json, check_markdown, check_table, headings, lines, together
from parity.bench.check_times import CheckTime, in_fresh_process, timed_check
from parity.bench.stopwatch import REST, STEPS, Span
from parity.bench.watched import FLAX, LAYERS, TORCH, TWIN
from parity.cli import main
from parity.proof.cases import check_case
from parity.result import Result

SECONDS = {Span(TWIN, REST): 1.0, Span(STEPS, TORCH): 2.0, Span(STEPS, "tracing"): 3.0, Span(LAYERS, TORCH): 4.0}
TIME = CheckTime("one", "pass", 10, SECONDS, before=int(5e6), peak=int(7e6))
MEBI = 2**20


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        main(list(map(str, arguments)))
    return exit.value.code


def test_the_phases_are_all_of_the_time():
    assert sum(phase.seconds(TIME) for phase in PHASES) == TIME.total == 10
    assert (TIME.of(TWIN), TIME.of(work=TORCH), TIME.of(STEPS, TORCH), TIME.of(STEPS, FLAX)) == (1, 6, 2, 0)


def test_cells_stand_below_their_headings():
    (line,) = lines([TIME])
    cells = dict(zip(headings(), line, strict=True))
    assert cells["steps: compiling"] == "3.00" and cells["% PyTorch"] == "60" and cells["memory, MB"] == "7"
    assert cells["total"] == "10.00" and cells["remark"] == "" and cells["before, MB"] == "5"


def test_several_cases_have_a_last_line_for_all():
    both = [TIME, replace(TIME, name="two", peak=int(9e6))]
    whole = together(both)
    assert whole.total == 20 and whole.params == 20 and whole.peak == 9e6
    assert [line[0] for line in lines(both)] == ["one", "two", "all"] and check_table(both).row_count == 3
    assert len(check_markdown(both).splitlines()) == 5


@pytest.mark.parametrize(
    "change, remark",
    [
        ({"status": "fail"}, "fail"),
        ({"status": "error", "error": "no | such"}, "no \\| such"),
        ({"others": 100.0}, "others used 100.0 CPUs meanwhile"),
        ({"elsewhere": 1.5}, "compiled 1.50 s in other threads"),
    ],
)
def test_the_remark_says_what_was_wrong(change, remark):
    assert f"| {remark} |" in check_markdown([replace(TIME, **change)])


def big(size: int):
    """Returns a check for which the process takes so many bytes and leaves them."""

    def check():
        assert sum(bytearray(b"\1") * size)
        return Result("big", "", 0)

    return check


def killed():
    os._exit(9)


def big_ready():
    return big(300 * MEBI)


@pytest.mark.slow
def test_the_peak_of_a_fresh_process_is_its_own():
    time = in_fresh_process("big", big_ready)
    assert time.error == "" and 250 * MEBI < time.peak - time.before < 400 * MEBI


@pytest.mark.slow
def test_a_killed_process_is_an_error_of_its_case():
    time = in_fresh_process("x", killed)
    assert time.status == "error" and "killed" in time.error and time.total == 0
    json.dumps(check_json(time), allow_nan=False)
    assert lines([time])[0][-1].startswith("the process was killed")


def test_a_case_that_cannot_run_is_an_error_of_its_own():
    broken = replace(get("linear-regression"), probe={"in_features": -1})
    time = timed_check(broken.name, partial(check_case, broken))
    assert time.status == "error" and time.error and time.total > 0


@pytest.mark.slow
def test_the_command_writes_a_document_and_a_table(tmp_path, capsys):
    files = {kind: tmp_path / f"check.{kind}" for kind in ("json", "markdown")}
    flags = [text for kind in files for text in (f"--{kind}", files[kind])]
    assert run("bench", "--check", "linear-regression", *flags) == 0, capsys.readouterr()
    assert "How long a check takes" in capsys.readouterr().out
    (entry,) = json.loads(files["json"].read_text())["checks"]
    assert entry["status"] == "pass" and entry["peak_bytes"] >= entry["bytes_before"] > 0
    assert list(entry["seconds"]) == [phase.heading for phase in PHASES]
    assert sum(entry["seconds"].values()) == pytest.approx(entry["total_s"])
    assert files["markdown"].read_text().startswith("| model | parameters | twin | steps: compiling |")


# How a check grows


@pytest.mark.parametrize("size", [NetworkSize(5, 1), NetworkSize(7, 3)])
def test_the_networks_have_as_many_parameters_as_their_size_says(size):
    ours = sum(leaf.size for leaf in jax.tree.leaves(functional(flax_network(size)).params))
    assert ours == sum(p.numel() for p in torch_network(size).parameters()) == size.parameters


def test_along_an_axis_nothing_else_grows():
    for axis, sizes in SIZES.items():
        assert sizes[0] == BASE and len(sizes) >= 3
        member = "width" if axis == "parameters" else axis
        assert all(replace(size, **{member: getattr(BASE, member)}) == BASE for size in sizes)
        assert len({getattr(size, axis) for size in sizes}) == len(sizes)


def law(exponent: float, memory: float, sizes=(2, 4, 8, 16), **change) -> CheckGrowth:
    """The growth of a check by power laws: PyTorch's time, twice as long as the twin's constant one at the end."""
    times = [
        CheckTime(
            f"{x}",
            "pass",
            seconds={Span(TWIN, REST): 0.5, Span(STEPS, TORCH): x**exponent},
            before=100,
            peak=100 + int(1e6 * x**memory),
        )
        for x in sizes
    ]
    return CheckGrowth("steps", sizes, tuple(replace(time, **change) for time in times))


def test_the_slopes_of_a_power_law_are_found_again():
    growth = law(1.5, 0.5)
    slopes = phase_slopes(growth)
    assert slopes == pytest.approx({"twin": 0.0, "steps: PyTorch": 1.5})
    assert growth.slope(growth.memory) == pytest.approx(0.5, abs=1e-6)
    assert growth.end_slope([x**3.0 + 7 for x in growth.sizes]) == pytest.approx(2.98, abs=0.01)
    assert 1.2 < growth.slope(growth.seconds) < growth.end_slope(growth.seconds) < 1.5


def test_control_another_law_has_another_slope():
    assert phase_slopes(law(2.0, 0.5))["steps: PyTorch"] == pytest.approx(2.0)
    assert law(1.5, 2.0).slope(law(1.5, 2.0).memory) == pytest.approx(2.0, abs=1e-6)


def test_the_steepest_phase_that_matters_is_named():
    line = growth_markdown([law(1.5, 0.5)]).splitlines()[-1]
    assert "| steps: PyTorch 1.50 |" in line and line.startswith("| steps | 2 4 8 16 |")
    assert growth_table([law(1.5, 0.5)]).row_count == 1
    json.dumps(growth_json(law(1.5, 0.5)), allow_nan=False)


@pytest.mark.parametrize("suffix, start", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_picture_is_of_the_kind_of_its_suffix(suffix, start, tmp_path):
    path = tmp_path / f"growth.{suffix}"
    growth_picture([law(1.5, 0.5), law(0.5, 1.0)], path)
    assert path.read_bytes().startswith(start)


def test_a_growth_whose_checks_fail_is_told_and_not_drawn(tmp_path):
    growth = law(1.0, 1.0, status="fail")
    assert growth.failed and "2: fail" in growth_markdown([growth])
    with pytest.raises(InputError, match="nothing to draw"):
        growth_picture([growth], tmp_path / "none.png")


@pytest.mark.slow
def test_a_size_that_two_axes_share_is_checked_once():
    small = NetworkSize(3, 1, 1, 2)
    growths = check_growths({"batch": (small,), "steps": (small,)})
    assert [growth.axis for growth in growths] == ["batch", "steps"] and growths[0].sizes == (2,)
    assert growths[0].times == growths[1].times and not growths[0].failed
    assert all(time.total > 0 and time.peak >= time.before > 0 for time in growths[0].times)


@pytest.mark.slow
def test_the_check_of_the_networks_passes_and_takes_its_steps():
    result = ready(NetworkSize(3, 1, 2, 2))()
    assert result.status == "pass" and {row.key.step for row in result.rows["float64"]} >= {1, 2}
