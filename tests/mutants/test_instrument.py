"""Files that tell which of their places are reached."""

import ast
from typing import Any

from parity.mutants.instrument import NAME, Recorder, instrumented, resolved
from parity.mutants.places import sites

SOURCE = '''
"""A file."""
LIMIT = 7

class A:
    """A class."""
    size = 5

    def f(self, x, rate=0.25, n=3, *, pair=(2, -1.5)):
        """Returns something."""
        y = x * rate
        y += n if x > 10 else n + 1
        return [y - z for z in pair]

def g(x):
    return x / 2
'''


def reached(call: str) -> set[str]:
    recorder = Recorder()
    names = {NAME: recorder}
    exec(compile(instrumented(SOURCE, "a.py"), "a.py", "exec"), names)
    imported = recorder.take()
    exec(call, names)
    places = [site.place for site in sites(ast.parse(SOURCE), SOURCE, "a.py")]
    return {place.old for place in resolved(recorder.take(), imported, places)}


def test_an_expression_is_reached_where_it_is_evaluated():
    assert "x / 2" in reached("g(3)") and "x * rate" not in reached("g(3)")
    assert {"x * rate", "n + 1", "y - z", "x > 10"} <= reached("A().f(3)")
    assert "n + 1" not in reached("A().f(11)")


def test_a_default_is_reached_where_no_argument_takes_its_place():
    assert {"0.25", "3", "2", "-1.5"} <= reached("A().f(3)")
    assert "0.25" not in reached("A().f(3, float('0.25'))")
    assert "3" not in reached("A().f(3, n=3)")  # the very object that the default is
    assert {"2", "1.5"}.isdisjoint(reached("A().f(3, pair=(1, 2))") - {"3"})


def test_values_of_a_class_count_where_it_is_used_and_those_of_a_file_anywhere():
    assert {"7", "5"} <= reached("A().f(3)")
    assert "7" in reached("g(3)") and "5" not in reached("g(3)")
    assert reached("pass") == set()


def test_the_results_stay():
    plain: dict[str, Any] = {}
    recording: dict[str, Any] = {NAME: Recorder()}
    exec(SOURCE, plain)
    exec(compile(instrumented(SOURCE, "a.py"), "a.py", "exec"), recording)
    assert plain["A"]().f(3) == recording["A"]().f(3) and recording["A"].f.__doc__ == "Returns something."
