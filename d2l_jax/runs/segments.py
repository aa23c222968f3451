"""The picture of a segmentation: images, what the model sees in them, and what is there."""

from pathlib import Path
from typing import Any

import numpy as np

from d2l_jax.data import Dataset
from d2l_jax.data.images.palette import IGNORED, colored
from d2l_jax.data.images.picture import denormalised
from d2l_jax.runs.plot import picture, title

SHOWN = 5


def draw_segments(metrics: dict[str, Any], data: Dataset, outputs: np.ndarray, path: Path) -> None:
    """The first test images; below each the predicted classes and the true ones, in the colours of the palette.

    outputs: scores (images, height, width, classes). Pixels that do not count are white.
    """
    assert data.palette is not None
    X, y = (array[: min(SHOWN, len(outputs))] for array in data.test)
    guesses = outputs[: len(y)].argmax(-1)
    rows = {
        "image": denormalised(X),
        "prediction": colored(guesses, data.palette),
        "truth": colored(y, data.palette),
    }
    height, width = y.shape[1:]
    panel = 2.4 * height / width
    with picture(path, (2.4 * len(y) + 1.6, 3 * panel + 0.8)) as figure:
        right = (guesses == y)[y != IGNORED].mean()
        figure.suptitle(f"{title(metrics)}: {right:.0%} of these pixels are right")
        grid = figure.subplots(len(rows), len(y), squeeze=False)
        for axes, (name, images) in zip(grid, rows.items()):
            axes[0].set_ylabel(name)
            for axis, image in zip(axes, images):
                axis.imshow(image)
                axis.set_xticks([])
                axis.set_yticks([])
        shown = np.union1d(np.unique(guesses), np.unique(y[y != IGNORED]))
        _legend(figure, data, shown)


def _legend(figure: Any, data: Dataset, labels: np.ndarray) -> None:
    from matplotlib.patches import Patch

    assert data.palette is not None
    colors = [tuple(float(part) / 255 for part in color) for color in data.palette]
    patches = [Patch(color=colors[label], label=data.classes[label]) for label in labels]
    figure.legend(handles=patches, loc="outside right center", frameon=False, fontsize=8)
