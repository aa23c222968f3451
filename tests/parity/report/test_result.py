"""A result as people meet it: its truth, its text, a notebook's cell, its page and its document."""

import json
from dataclasses import replace

import pytest
from html_page import Page
from small_results import ALL, BAD, BROKEN, GOOD


def test_only_what_has_passed_is_true():
    assert GOOD and not BAD and not BROKEN and not replace(GOOD, rows={})


def test_raising_says_what_is_wrong_and_hands_on_what_has_passed():
    assert GOOD.raise_if_failed() is GOOD
    with pytest.raises(AssertionError, match="first wrong: bn") as error:
        BAD.raise_if_failed()
    assert str(error.value) == repr(BAD)
    with pytest.raises(AssertionError, match="broken: TypeError"):
        BROKEN.raise_if_failed()


def test_the_text_has_about_ten_lines_and_the_limits():
    assert all(len(repr(result).splitlines()) <= 10 for result in ALL)
    text = repr(GOOD)
    assert "nothing left uncompared" in text
    assert "float32, nearest to its limit: forward/output: gap 1.0e-07, threshold 1.0e-06" in text


def test_the_text_says_which_weights_were_compared():
    assert "drawn at random" in repr(GOOD)
    as_they_are = replace(GOOD, settings=GOOD.settings | {"weights": "as they are"})
    assert "weights: as they are" in repr(as_they_are) and "random" not in repr(as_they_are)


@pytest.mark.parametrize("result", ALL, ids=lambda result: result.name)
def test_a_notebook_shows_html_that_is_whole_and_escaped(result):
    page = Page(result._repr_html_())
    assert [tag for tag, _ in page.seen[:2]] == ["div", "style"] and result.name in "".join(page.texts)
    assert "<x>" not in result._repr_html_() and "<biased>" not in result._repr_html_()


def test_the_page_and_the_document_are_those_of_the_command(tmp_path):
    BAD.save_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "first wrong: bn" in text and "jax_matmul_precision" in text and "20" in text
    document = json.loads(BAD.to_json())
    assert document["cases"][0]["blame"]["layer"] == "bn"
    assert {"jax", "torch", "date"} <= document["environment"].keys()
