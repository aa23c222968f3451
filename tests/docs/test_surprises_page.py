"""The page of the book's surprises: as many rows as there are, and the tests that they name are written."""

import re

from written import ROOT, exists

PAGE = (ROOT / "docs" / "surprises.md").read_text()


def missing(text: str) -> list[str]:
    """Returns the tests, `FILE::FUNCTION`, that a text names and nobody has written."""
    return [test for test in re.findall(r"`(tests/[\w/]+\.py::\w+)`", text) if not exists(test)]


def test_the_tests_are_written():
    assert missing(PAGE) == []


def test_every_surprise_has_a_row():
    assert len(re.findall(r"^\| \d", PAGE, re.MULTILINE)) == 22


def test_control_a_test_that_is_nowhere_is_seen():
    assert missing("`tests/d2l_jax/test_surprises.py::test_of_nothing`") == [
        "tests/d2l_jax/test_surprises.py::test_of_nothing"
    ]
