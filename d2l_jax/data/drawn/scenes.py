"""Drawn scenes with a class for each pixel: the embedded data for segmentation."""

import numpy as np

from d2l_jax.data.images.palette import voc_palette
from d2l_jax.data.images.segmentation import Pair, Segmented

CLASSES = ("background", "disc", "square", "triangle", "ring")
COLORS = np.array([[0, 0, 0], [210, 90, 60], [70, 150, 90], [80, 110, 200], [220, 190, 70]], np.float64)
NUM_TRAIN = 96
NUM_TEST = 24
SHAPES = 5  # in a scene; later ones lie on top


def scenes(size: tuple[int, int] = (96, 128), seed: int = 0) -> Segmented:
    """Draws discs, squares, triangles and rings on noisy grounds: 96 scenes to train on and 24 to test on.

    Args:
      size: (height, width) of a crop; the scenes are an eighth larger.
      seed: of all numbers; the same scenes come of the same seed and size.
    """
    random = np.random.default_rng([seed, *size])
    height, width = (n + max(1, n // 8) for n in size)
    pairs = [scene(height, width, random) for _ in range(NUM_TRAIN + NUM_TEST)]
    source = "embedded default (drawn scenes)"
    return Segmented("scenes", pairs[:NUM_TRAIN], pairs[NUM_TRAIN:], source, CLASSES, voc_palette(len(CLASSES)))


def scene(height: int, width: int, random: np.random.Generator) -> Pair:
    """Draws one scene: image uint8 (height, width, 3) and labels uint8 (height, width)."""
    rows, columns = np.mgrid[:height, :width]
    slope = random.normal(size=(2, 3)) * 40 / max(height, width)
    image = random.uniform(60, 190, 3) + rows[..., None] * slope[0] + columns[..., None] * slope[1]
    labels = np.zeros((height, width), np.uint8)
    for _ in range(SHAPES):
        kind = int(random.integers(1, len(CLASSES)))
        radius = random.uniform(0.1, 0.22) * min(height, width)
        y = rows - random.uniform(0, height)
        x = columns - random.uniform(0, width)
        inside = _inside(kind, y, x, radius, random.uniform(0, np.pi))
        image[inside] = COLORS[kind] + random.normal(size=3) * 20
        labels[inside] = kind
    image += random.normal(size=image.shape) * 12
    return np.clip(image, 0, 255).astype(np.uint8), labels


def _inside(kind: int, y: np.ndarray, x: np.ndarray, radius: float, angle: float) -> np.ndarray:
    """Tells of each pixel, at (y, x) from the shape's middle, whether the shape covers it."""
    distance = np.hypot(y, x)
    if CLASSES[kind] == "disc":
        return distance < radius
    if CLASSES[kind] == "ring":
        return (distance < radius) & (distance > 0.55 * radius)
    sides = 4 if CLASSES[kind] == "square" else 3
    turns = angle + np.arange(sides) * 2 * np.pi / sides
    return np.all([y * np.sin(turn) + x * np.cos(turn) < radius * np.cos(np.pi / sides) for turn in turns], axis=0)
