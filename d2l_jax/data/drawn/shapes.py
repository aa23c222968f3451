"""Drawn pictures in colour that stand in for photographs: shapes of any place, size, turn and colour."""

from collections.abc import Callable

import numpy as np

from d2l_jax.data.dataset import Dataset

Coordinates = np.ndarray
SHAPES: dict[str, Callable[[Coordinates, Coordinates], np.ndarray]] = {
    "disc": lambda u, v: u**2 + v**2 < 1,
    "square": lambda u, v: np.maximum(abs(u), abs(v)) < 0.85,
    "triangle": lambda u, v: (v > -0.7) & (v < 1 - 1.7 * abs(u)),
    "ring": lambda u, v: abs(np.hypot(u, v) - 0.75) < 0.25,
    "cross": lambda u, v: (np.minimum(abs(u), abs(v)) < 0.3) & (np.maximum(abs(u), abs(v)) < 1),
    "frame": lambda u, v: abs(np.maximum(abs(u), abs(v)) - 0.7) < 0.2,
    "half": lambda u, v: (u**2 + v**2 < 1) & (u > 0),
    "bars": lambda u, v: (np.maximum(abs(u), abs(v)) < 0.95) & (np.sin(8 * u) > 0),
    "star": lambda u, v: np.hypot(u, v) < 0.6 + 0.4 * np.cos(5 * np.arctan2(v, u)),
    "dots": lambda u, v: (np.sin(6 * u) * np.sin(6 * v) > 0.3) & (u**2 + v**2 < 1),
}


def shapes(classes: int = 10, train: int = 1000, test: int = 300, size: int = 32, seed: int = 0) -> Dataset:
    """Draws pictures of `classes` shapes, each in one colour upon another, with noise.

    Returns:
      X uint8 (N, size, size, 3), y int32 (N,); the classes come in turn.
    """
    random = np.random.default_rng(seed)
    names = tuple(SHAPES)[:classes]
    y = (np.arange(train + test) % classes).astype(np.int32)
    X = np.stack([_picture(names[label], size, random) for label in y])
    source = f"embedded default (drawn shapes, {size}x{size})"
    name = "shapes" if classes > 2 else "two_shapes"
    return Dataset(name, (X[:train], y[:train]), (X[train:], y[train:]), source, names)


def _picture(name: str, size: int, random: np.random.Generator) -> np.ndarray:
    """Returns one picture, uint8 (size, size, 3)."""
    y, x = np.mgrid[0:size, 0:size] / size
    centre = random.uniform(0.35, 0.65, 2)
    scale = random.uniform(0.2, 0.35)
    turn = random.uniform(0, 2 * np.pi)
    dx = (x - centre[0]) / scale
    dy = (y - centre[1]) / scale
    inside = SHAPES[name](np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx)
    ground = random.uniform(0, 200, 3)
    colour = np.where(ground < 100, ground + 80, ground - 80) + random.uniform(-20, 20, 3)
    values = np.where(inside[..., None], colour, ground) + random.normal(0, 12, (size, size, 3))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
