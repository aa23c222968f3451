"""Docstrings become reStructuredText that means the same."""

from docstrings import rewritten


def test_arguments_become_fields():
    lines = ["Draws `n` numbers.", "", "n, m: how many", "    of each", "p: a*b", "Raises InputError where n < 0."]
    assert rewritten(lines) == [
        "Draws ``n`` numbers.",
        "",
        "",
        "``n, m``",
        "    how many",
        "    of each",
        "",
        "``p``",
        "    a\\*b",
        "",
        "Raises InputError where n < 0.",
    ]


def test_code_is_left_alone_and_markup_is_text():
    assert rewritten(["Scales `a_*|b` by c_ and *args."]) == ["Scales ``a_*|b`` by c\\_ and \\*args."]


def test_indented_lines_after_text_are_code():
    assert rewritten(["As in:", "    f(x_1)", "done"])[-2:] == ["        f(x_1)", "done"]


def test_a_sentence_is_no_argument():
    assert rewritten(["Raises: nothing."]) == ["Raises: nothing."]
