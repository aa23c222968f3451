"""Pictures of descent: steps on a curve, and paths over contours (book, chapter 12)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.errors import InputError
from d2l_jax.runs.plot import TEST, TRAIN, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 201
LEVELS = 15
MARGIN = 0.15  # of the path's extent, at either side


class Descent(NamedTuple):
    """A panel: a function, and the path on it, as `d2l_jax.algorithms.descend` returns it.

    path: (steps + 1,) on a line, or (steps + 1, 2) in the plane
    """

    title: str
    f: Callable[[Any], Any]
    path: Any


def draw_descents(descents: Sequence[Descent], path: Path, columns: int = 3) -> None:
    """Draws a panel for each descent: on a line the curve and the steps, in the plane contours and the path.

    A path is drawn as far as its numbers are finite, and its end stands in the title: a rate that is too large is
    to be seen. Raises InputError for no descent, a path of other dimensions, and a suffix that is no picture's.
    """
    if not descents:
        raise InputError("no descent to draw; one at least is right")
    rows = -(-len(descents) // columns)
    with picture(path, (3.6 * columns, 3.1 * rows)) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes[len(descents) :]:
            axis.set_axis_off()
        for axis, descent in zip(axes, descents):
            points = np.asarray(descent.path, float)
            if points.ndim == 1:
                _on_a_line(axis, descent.f, points)
            elif points.ndim == 2 and points.shape[1] == 2:
                _in_the_plane(axis, descent.f, points)
            else:
                raise InputError(f"{descent.title}: a path of shape {points.shape}; (steps,) or (steps, 2) is right")
            end = ", ".join(f"{number:.4g}" for number in np.ravel(points[-1]))
            axis.set_title(f"{descent.title}\nends at {end}", fontsize=9)


def _on_a_line(axis: "Axes", f: Callable, points: np.ndarray) -> None:
    inside = points[np.isfinite(points)]
    x = np.linspace(*_bounds(np.append(inside, -inside)), POINTS)  # the minimum is in the middle
    axis.plot(x, _values(f, x), color=TRAIN)
    axis.plot(inside, _values(f, inside), "-o", color=TEST, markersize=4, linewidth=1)
    axis.set(xlabel="x", ylabel="f(x)")
    axis.grid(alpha=0.25)


def _in_the_plane(axis: "Axes", f: Callable, points: np.ndarray) -> None:
    inside = points[np.isfinite(points).all(1)]
    sides = [np.linspace(*_bounds(np.append(inside[:, i], 1.0)), POINTS) for i in range(2)]
    grid = np.stack(np.meshgrid(*sides), axis=-1)
    axis.contour(
        *sides, _values(f, grid.reshape(-1, 2)).reshape(POINTS, POINTS), levels=LEVELS, colors=TRAIN, linewidths=0.7
    )
    axis.plot(*inside.T, "-o", color=TEST, markersize=4, linewidth=1)
    axis.set(xlabel="x1", ylabel="x2")


def _bounds(values: np.ndarray) -> tuple[float, float]:
    margin = MARGIN * max(float(np.ptp(values)), 1e-3)
    return float(values.min()) - margin, float(values.max()) + margin


def _values(f: Callable, points: np.ndarray) -> np.ndarray:
    return np.asarray(jax.vmap(f)(jnp.asarray(points, float)))
