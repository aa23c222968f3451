"""Reports of results made by hand: what they say, in which order, and that nothing in them can break their format."""

import io
import json
import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from rich.console import Console
from small_results import ALL, BAD, BROKEN, GOOD, SETTINGS, UGLY, row

from parity import report
from parity.progress import with_progress
from parity.report.coverage import coverage
from parity.report.order import in_order


def shown(results, width=130):
    console = Console(width=width, file=io.StringIO())
    report.show(console, results, SETTINGS)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_phases_are_in_the_order_of_training():
    order = [(r.phase, r.name) for r in in_order(BAD.rows["float64"])]
    assert [phase for phase, _ in order] == [
        "evaluation",
        "forward",
        "forward",
        "gradients",
        "buffers",
        "update",
        "optimizer",
        "step 2 update",
        "after 5 steps",
        "layer forward",
    ]
    assert order[1:3] == [("forward", "output"), ("forward", "loss")]


def test_step_10_comes_after_step_9():
    assert [r.phase for r in in_order([row("step 10 forward"), row("step 9 update"), row("free run")])] == [
        "step 9 update",
        "step 10 forward",
        "free run",
    ]


def test_a_failure_starts_with_who_is_to_blame():
    lines = report.details(BAD)
    assert lines[0] == "bad: first wrong: bn (BatchNorm2d), buffers: Flax keeps the <biased> variance"
    assert lines[1].startswith("bad: float64 forward/output: gap 1.0e-05") and lines[-1] == "bad: ... and 2 more"
    assert report.details(BROKEN) == ["broken: TypeError: <x> & y"]


def test_control_a_pass_has_no_details_even_with_a_blame():
    assert report.details(replace(GOOD, blame=BAD.blame)) == []


def test_coverage_counts_each_tensor_once():
    counts = coverage(GOOD)
    assert (counts.rows, counts.tensors, counts.layers, counts.steps) == (14, 12, 2, 2)
    assert (counts.gradients, counts.buffers, counts.uncompared) == (3, 2, 0)
    assert "nothing left uncompared" in str(counts)


def test_control_what_was_not_compared_is_counted():
    counts = coverage(BAD)
    assert counts.uncompared == 1 and counts.skipped == 1
    assert "1 tensors left uncompared" in str(counts) and "(1 not on their own)" in str(counts)
    assert coverage(BROKEN).rows == 0


def test_a_tensor_that_one_tier_alone_could_compare_is_compared():
    rows = {"float64": [row("forward", gap=math.inf, threshold=0.0)], "float32": [row("forward")]}
    assert coverage(replace(GOOD, rows=rows)).uncompared == 0


def test_the_terminal_shows_all():
    text = shown(ALL)
    assert "1 of 3 cases pass" in text and "first wrong: bn (BatchNorm2d)" in text and "broken: TypeError" in text
    assert text.index("first wrong") < text.index("float64 forward/output")


@pytest.mark.parametrize("width", [20, 80, 200])
def test_rows_are_whole_at_any_width(width):
    lines = shown(ALL, width).splitlines()
    assert any(
        line.split() == ["7.6", "good", "1,234", "2", "14", "1e-15", "1e-13", "1e-07", "1e-06", "pass"]
        for line in lines
    )


def test_control_rich_would_cut_the_rows():
    console = Console(width=20, file=io.StringIO())
    console.print(report.table(ALL))
    assert "1e-13" not in console.file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_each_case_is_a_line_where_there_is_no_bar(terminal):
    console = Console(width=80, file=io.StringIO(), force_terminal=terminal)
    assert list(with_progress(iter(ALL), 3, console)) == ALL
    text = console.file.getvalue()
    assert ("[1/3] good pass 1.5 s\n[2/3] bad fail\n[3/3] broken error\n" in text) is not terminal


def test_the_summary_names_the_largest_gap_and_its_probes():
    text = report.summary([GOOD])
    assert text.startswith("1 of 1 cases pass; 14 comparisons: 2 layers, 12 tensors")
    assert "largest float64 gap is 1.0e-15 (good, " in text and "16 x noise 6.2e-15, noise of 4 probes or more)" in text
    assert report.summary([BROKEN]) == "0 of 1 cases pass" and report.summary([]) == "0 of 0 cases pass"


def test_the_summary_counts_blunt_rows():
    gross = replace(row("forward"), blunt=True)
    blunt = replace(GOOD, rows=GOOD.rows | {"float32": [gross]})
    assert "in float32, 1 tensors" in report.summary([blunt]) and "float32" not in report.summary([GOOD])
    assert "(1 blunt)" in shown([blunt]) and "too ill-conditioned to tell" in " ".join(shown([blunt]).split())
    assert ", 1 blunt |" in report.markdown([blunt]) and "1 tensors are too ill-conditioned" in repr(blunt)
    assert "blunt" not in shown([GOOD]) + report.markdown([GOOD]) + repr(GOOD)


def test_a_precision_that_was_asked_for_has_its_column():
    low = replace(GOOD, rows=GOOD.rows | {"bfloat16": [replace(row("forward"), blunt=True)]})
    assert "bfloat16: error (limit)" in report.markdown([GOOD, low])
    assert "in float32 and bfloat16, 1 tensors" in report.summary([low])
    assert "bfloat16" not in report.markdown([GOOD])


def test_the_title_says_which_weights():
    assert "from identical random weights" in shown([GOOD])
    as_they_are = replace(GOOD, settings={"weights": "as they are"})
    assert "from the weights that the models hold" in " ".join(shown([as_they_are]).split())


def test_the_markdown_table_has_a_line_for_each_case():
    lines = report.markdown(ALL).splitlines()
    assert lines[2] == "| 7.6 | good | 1,234 | 2 | 14 | 1e-15 (1e-13) | 1e-07 (1e-06) | pass |"
    assert len({line.count("|") for line in lines[:5]}) == 1 and lines[4].endswith("| - | - | error |")


def test_json_is_strict_and_complete():
    def refuse(constant):
        raise ValueError(constant)

    document = json.loads(report.to_json(ALL, SETTINGS), parse_constant=refuse)
    assert document["environment"] == SETTINGS
    good, bad, broken = document["cases"]
    assert [case["status"] for case in document["cases"]] == ["pass", "fail", "error"]
    assert good["blame"] is None and bad["blame"]["layer"] == "bn" and broken["error"] == "TypeError: <x> & y"
    assert good["trajectory"][0] == {"step": 1, "torch32": 1e-7, "flax32": 2e-7, "between": 1.5e-7, "flax64": 1e-15}
    assert good["coverage"]["gradients"] == 3 and good["settings"] == {"probes": 4} and bad["skipped"]
    assert [p["phase"] for p in bad["phases"]][:2] == ["evaluation", "forward"]
    (gradient,) = next(p for p in bad["phases"] if p["phase"] == "gradients")["rows"]
    assert gradient == {
        "name": UGLY,
        "gap": None,
        "threshold": 0.0,
        "because": "missing in Flax",
        "status": "fail",
    }


def test_junit_has_a_suite_for_each_case_and_a_test_for_each_phase():
    root = ElementTree.fromstring(report.junit(ALL))
    good, bad, broken = root
    assert [suite.get("name") for suite in root] == ["good", "bad", "broken"]
    assert (good.get("tests"), good.get("failures"), good.get("errors")) == ("11", "0", "0")
    assert "float64 evaluation" in [test.get("name") for test in good]
    assert bad.get("failures") == str(len(bad.findall("testcase/failure"))) == "9"
    failure = bad.find("testcase[@name='float64 gradients']/failure")
    assert (
        failure is not None and "a<b>&\"'??.weight" in (failure.text or "") and "1 of 1" in failure.get("message", "")
    )
    error = broken.find("testcase/error")
    assert error is not None and error.get("message") == "TypeError: <x> & y"


def test_control_a_name_that_is_not_escaped_is_no_xml():
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(f"<testcase name='{UGLY}'/>")
