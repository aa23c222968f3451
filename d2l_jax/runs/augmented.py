"""A picture of what a model learns from: training images beside their random changes."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.augment import Augment
from d2l_jax.data import Dataset
from d2l_jax.runs.plot import picture

AUGMENTED = "augmented.png"
IMAGES = 4
CHANGES = 7


def draw_augmented(augment: Augment, data: Dataset, seed: int, path: Path) -> None:
    """Draws the first training images, each in a row before its changes; a normalisation is left out."""
    images, sizes = (None if each is None else each[:IMAGES] for each in (data.train[0], data.sizes))
    assert images is not None
    rows = [[_filled(image, None if sizes is None else sizes[i])] for i, image in enumerate(images)]
    change = jax.jit(augment.seen)
    for number in range(CHANGES):
        key = jax.random.fold_in(jax.random.key(seed), number)
        changed = change(key, jnp.asarray(images), None if sizes is None else jnp.asarray(sizes))
        for row, image in zip(rows, np.asarray(changed)):
            row.append(image)
    with picture(path, (1.2 * (CHANGES + 1), 1.25 * len(rows) + 0.4)) as figure:
        figure.suptitle(f"{data.name}: training images, and what is learned from")
        grid = figure.subplots(len(rows), CHANGES + 1, squeeze=False)
        for axis in grid.ravel():
            axis.set_axis_off()
        for axes, row in zip(grid, rows):
            for axis, image in zip(axes, row):
                axis.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray")


def _filled(image: np.ndarray, size: np.ndarray | None) -> np.ndarray:
    """Returns an image without its margin."""
    return image if size is None else image[: size[0], : size[1]]
