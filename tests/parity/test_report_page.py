"""The HTML page: well-formed, self-contained, failures open, everything escaped, and its pictures true."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from small_results import ALL, BAD, BROKEN, GOOD, SETTINGS, TRAJECTORY, row

from parity.report import html
from parity.report.pictures import histogram, trajectory

VOID = {"meta", "br"}


class Page(HTMLParser):
    """The elements of a page; raises where one is closed that is not the innermost."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.seen = []
        self.texts = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.seen if name == tag]


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
    assert sum(attributes.get("class") == "bad" for attributes in page.all("tr")) == 1 + 10


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
