"""Pictures of descent: every step is drawn, also those that lead away."""

import numpy as np
import pytest

from d2l_jax import optim
from d2l_jax.algorithms import descend, gorge, parabola
from d2l_jax.errors import InputError
from d2l_jax.runs import paths
from d2l_jax.runs.paths import Descent, draw_descents

FAR = Descent("away", parabola, descend(parabola, optim.SGD(1.1), 10.0, 10))
PLANE = Descent("plane", gorge, descend(gorge, optim.SGD(0.6), (-5.0, -2.0)))


@pytest.fixture
def axes(monkeypatch):
    """Returns every panel that is drawn, with its descent."""
    panels = []
    for name in ("_on_a_line", "_in_the_plane"):
        stock = getattr(paths, name)
        monkeypatch.setattr(paths, name, lambda axis, *args, stock=stock: (panels.append(axis), stock(axis, *args)))
    return panels


def test_steps_that_lead_away_are_shown(tmp_path, axes):
    draw_descents([FAR, PLANE], tmp_path / "p.png", columns=2)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    line, plane = axes
    curve, steps = line.lines
    np.testing.assert_allclose(steps.get_xdata(), FAR.path)
    np.testing.assert_allclose(steps.get_ydata(), np.asarray(FAR.path) ** 2)
    assert curve.get_xdata().max() > 61.9 and "61.92" in line.get_title()
    np.testing.assert_allclose(plane.lines[0].get_xydata(), PLANE.path)
    bottom, top = plane.get_ylim()
    assert bottom < -1673 < top and "-1673" in plane.get_title()


def test_numbers_that_are_not_finite_are_left_out_and_said(tmp_path, axes):
    path = np.array([1.0, -30.0, np.inf, np.nan])
    draw_descents([Descent("overflow", parabola, path)], tmp_path / "p.svg")
    assert axes[0].lines[1].get_xdata().tolist() == [1.0, -30.0] and "nan" in axes[0].get_title()


@pytest.mark.parametrize(
    "descents, name, line",
    [
        ([], "p.png", "no descent to draw; one at least is right"),
        ([FAR._replace(path=np.zeros((3, 4)))], "p.png", r"away: a path of shape \(3, 4\); \(steps,\) or \(steps, 2\)"),
        ([FAR], "p.txt", "is no picture that can be written"),
    ],
)
def test_a_wrong_call_says_what_is_right(tmp_path, descents, name, line):
    with pytest.raises(InputError, match=line):
        draw_descents(descents, tmp_path / name)
    assert not list(tmp_path.iterdir())
