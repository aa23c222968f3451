"""Objects that a trained detector sees in pictures, with their boxes drawn (book, section 14.7)."""

from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from d2l_jax.cpu.compile import jit
from d2l_jax.functional import eval_view, parts
from d2l_jax.models import detections
from d2l_jax.runs.plot import picture, title
from d2l_jax.runs.texts import Trained

THRESHOLD = 0.9  # of the confidence of what is shown, as in the book
AT_ONCE = 8  # pictures
TRUTH = "#222222"
SEEN = "#1f5fa8"
COLUMNS = 4
ROWS = 3


class Sighting(NamedTuple):
    """An object that a detector sees.

    label:      number of its class
    confidence: from 0 to 1
    box:        left, top, right, bottom, as parts of width and height
    """

    label: int
    confidence: float
    box: tuple[float, float, float, float]


class Sightings(NamedTuple):
    """Pictures (n, height, width, 3) from 0 to 255, their true labels (n, objects, 5), and what is seen in each."""

    pictures: np.ndarray
    labels: np.ndarray
    seen: list[list[Sighting]]

    def hits(self, overlap: float = 0.5) -> int:
        """Counts the true boxes that some sighting of their class overlaps by at least so much."""
        return sum(_is_hit(label, seen, overlap) for labels, seen in zip(self.labels, self.seen) for label in labels)

    def __str__(self) -> str:
        objects = self.labels.shape[0] * self.labels.shape[1]
        seen = sum(map(len, self.seen))
        return f"{self.hits()} of {objects} objects found, by {seen} boxes of a confidence of {THRESHOLD} or more"


def _is_hit(label: np.ndarray, seen: list[Sighting], overlap: float) -> bool:
    return any(each.label == label[0] and _overlap(each.box, label[1:]) >= overlap for each in seen)


def _overlap(one: Any, other: Any) -> float:
    """Returns what `box_iou` does, of two boxes, with no program to compile for each number of them."""
    width = max(min(one[2], other[2]) - max(one[0], other[0]), 0)
    height = max(min(one[3], other[3]) - max(one[1], other[1]), 0)
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return float(width * height / (sum(areas) - width * height))


def sightings(trained: Trained, pictures: np.ndarray, threshold: float = THRESHOLD) -> list[list[Sighting]]:
    """Returns what a detector sees in each picture with at least that confidence, the most certain first.

    pictures: float32 (n, height, width, channels) from 0 to 255
    """
    run = parts(eval_view(trained.model)).run
    detect = jit(lambda params, buffers, images: run(detections, params, buffers, images)[0])
    seen = []
    for start in range(0, len(pictures), AT_ONCE):
        rows = np.asarray(detect(trained.params, trained.buffers, jnp.asarray(pictures[start : start + AT_ONCE])))
        for objects in rows:
            certain = objects[(objects[:, 0] >= 0) & (objects[:, 1] >= threshold)].tolist()
            seen.append([_sighting(*row) for row in certain])
    return seen


def _sighting(label: float, confidence: float, left: float, top: float, right: float, bottom: float) -> Sighting:
    return Sighting(int(label), confidence, (left, top, right, bottom))


def draw_sightings(metrics: dict[str, Any], sightings: Sightings, classes: tuple[str, ...], path: Path) -> None:
    """Draws the first pictures with what is seen in them, class and confidence at each box; true boxes are dashed."""
    rows = min(ROWS, -(-len(sightings.pictures) // COLUMNS))
    with picture(path, (2.4 * COLUMNS, 2.5 * rows + 0.5)) as figure:
        figure.suptitle(f"{title(metrics)}: {sightings}")
        grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axis in grid:
            axis.set_axis_off()
        for axis, image, labels, seen in zip(grid, *sightings):
            axis.imshow(image.astype(np.uint8))
            for label in labels:
                _frame(axis, label[1:], image.shape, TRUTH, (0, (4, 3)))
            for each in seen:
                _frame(axis, each.box, image.shape, SEEN, "-", f"{classes[each.label]} {each.confidence:.2f}")


def _frame(axis: Any, box: Any, shape: tuple[int, ...], color: str, line: Any, words: str = "") -> None:
    from matplotlib.patches import Rectangle

    height, width, _ = shape
    left, top, right, bottom = (side * size for side, size in zip(box, (width, height, width, height)))
    look: dict[str, Any] = {"fill": False, "edgecolor": color, "linewidth": 1.4, "linestyle": line}
    axis.add_patch(Rectangle((left, top), right - left, bottom - top, **look))
    if words:
        ground = {"facecolor": color, "pad": 1, "lw": 0}
        axis.text(left, top, words, fontsize=6, color="white", va="bottom", bbox=ground)
