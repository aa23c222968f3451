"""The HTML page: well-formed, self-contained, failures open, everything escaped, and its pictures true."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from html_page import Page
from small_results import ALL, BAD, BROKEN, GOOD, SETTINGS, TRAJECTORY, row

from parity.report import html
from parity.report.pictures import histogram, trajectory


def test_the_page_is_well_formed_and_says_the_verdict():
    page = Page(html(ALL, SETTINGS))
    assert "1 of 3 cases pass" in page.texts and "a<b>&" in "".join(page.texts)
    assert "<none>" in page.texts and "TypeError: <x> & y" in page.texts


def test_control_a_page_with_a_stray_tag_is_seen():
    with pytest.raises(AssertionError):
        Page(html(ALL, SETTINGS).replace("</main>", "</p></main>"))


def test_the_page_needs_nothing_from_elsewhere():
    text = html(ALL, SETTINGS)
    page = Page(text)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.seen}
    assert not re.search(r"url\(|@import|\bsrc=|https?://(?!www\.w3\.org/2000/svg)", text)
    assert all(link["href"].startswith("#case-") for link in page.all("a"))
    ids = [attributes["id"] for _, attributes in page.seen if "id" in attributes]
    assert len(ids) == len(set(ids)) and {link["href"][1:] for link in page.all("a")} <= set(ids)


def test_failures_are_open_and_passes_closed():
    assert not any("open" in attributes for attributes in Page(html([GOOD], SETTINGS)).all("details"))
    page = Page(html([BAD], SETTINGS))
    opened = sum("open" in attributes for attributes in page.all("details"))
    assert opened == 1 + 9  # the case, and each of its failing phases
    assert sum("bad" in attributes.get("class", "").split() for attributes in page.all("tr")) == 1 + 10


def test_rows_are_sorted_by_their_share_of_the_limit():
    rows = [row("forward", f"output.{n}", gap) for n, gap in enumerate((1e-15, 5e-14, 1e-16, 3e-14))]
    text = html([type(GOOD)("case", "1", 1, {"float64": rows})], {})
    assert re.findall(r">(output\.\d)", text) == ["output.1", "output.3", "output.0", "output.2"]


def test_long_phases_are_cut_but_no_failure_is_hidden():
    rows = [row("forward", f"output.{n}", 1e-15) for n in range(40)] + [row("forward", "output.bad", 1.0)]
    text = html([type(GOOD)("case", "1", 1, {"float64": rows})], {})
    assert "35 more, none closer" in text and "output.bad" in text


def test_nothing_and_only_errors_make_a_page_too():
    for results in ([], [BROKEN]):
        assert "0 of" in html(results, {}) and Page(html(results, {}))


def test_the_histogram_counts_every_gap():
    rows = [row("forward", gap=g * 2.0**-53) for g in (0, 0, 1.5, 2, 50)]
    picture = histogram("float64", rows)
    ElementTree.fromstring(picture)
    assert "5 tensors, 2 equal, median 1.5 ulp, largest 50 ulp" in picture
    counts = [int(n) for n in re.findall(r"ulp: (\d+) tensors", picture)]
    assert sum(counts) == 5 and max(counts) == 2
    assert histogram("float64", [row("forward", gap=float("inf"))]) == "" == histogram("float64", [])


def test_the_trajectory_has_three_curves_on_a_log_axis():
    picture = trajectory(TRAJECTORY)
    curves = [e for e in ElementTree.fromstring(picture).iter() if e.tag.endswith("polyline")]
    heights = [[float(point.split(",")[1]) for point in curve.get("points", "").split()] for curve in curves]
    assert len(heights) == 3 and all(len(line) == 5 for line in heights)
    torch32, flax32, between = heights
    assert all(f < b < t for f, b, t in zip(flax32, between, torch32))  # larger values stand higher
    assert torch32[0] - flax32[0] == pytest.approx(torch32[4] - flax32[4], abs=0.2)  # the same ratio everywhere
    assert trajectory([]) == ""


def test_the_head_names_causes_date_commit_and_command():
    about = {"date": "2026-01-02 03:04", "commit": "abc<def", "command": "parity check --html x.html"}
    head = html(ALL, SETTINGS | about).split("<h2>")[0]
    assert "Flax keeps the &lt;biased&gt; variance" in head and "TypeError: &lt;x&gt; &amp; y" in head
    assert "2026-01-02 03:04, abc&lt;def, parity check --html x.html" in head
    assert "Not passed" not in html([GOOD], SETTINGS).split("<h2>")[0]


def test_a_filter_hides_what_has_the_other_verdict():
    text = html(ALL, SETTINGS)
    buttons = [attributes["id"] for attributes in Page(text).all("input")]
    assert buttons == ["show-all", "show-failing", "show-passing"] and all(f"#{b}:checked" in text for b in buttons[1:])
    assert "failing (2)" in text and "passing (1)" in text
    kinds = [a["class"].split()[0] for a in Page(text).all("details") if str(a.get("class")).startswith("of-")]
    assert kinds == ["of-passing", "of-failing", "of-failing"]
    assert not Page(html([GOOD], SETTINGS)).all("input")


def test_rows_too_ill_conditioned_to_tell_are_counted():
    gross = replace(row("forward", gap=1e-2, threshold=0.1), blunt=True)
    text = html([replace(GOOD, rows=GOOD.rows | {"float32": [gross, gross]})], SETTINGS)
    assert "too blunt to tell" in text and '<td class="n">2</td></tr>' in text
