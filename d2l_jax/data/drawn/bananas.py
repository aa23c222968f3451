"""Drawn bananas for a detector: yellow crescents upon textured grounds, one to a picture (after section 14.6)."""

from functools import cache, partial
from typing import NamedTuple

import numpy as np

from d2l_jax.data.dataset import Dataset, Split

CLASSES = ("banana",)
RADIUS = (0.065, 0.125)  # of the crescent's middle line, as a part of the picture's side
PHOTOGRAPHS = 0.7  # of the grounds; the others are clouds
OUTLINE = 1.5  # pixels, of a picture of 256


class Crescent(NamedTuple):
    """Distances of every pixel to the edges of a crescent.

    Attributes:
      depth: pixels to the nearest edge of the body, below 0 outside.
      stem: the same of the stem.
      tip: the same of the half-plane in which the stem is brown.
      across: -1 at the inner edge, 1 at the outer one.
      dashes: from 0 to 1, how much of the outline is there.
    """

    depth: np.ndarray
    stem: np.ndarray
    tip: np.ndarray
    across: np.ndarray
    dashes: np.ndarray


def bananas(train: int = 400, test: int = 50, size: int = 256, seed: int = 0) -> Dataset:
    """Draws pictures with a banana each, of any place, turn and size, among blots of other shapes and colours.

    Seven in ten lie on parts of two photographs that scikit-learn ships, in other colours, the others on clouds.

    Those to train on are others in every epoch: a detector learns few pictures by heart.

    Returns:
      X float32 (N, size, size, 3) from 0 to 255, y float32 (N, 1, 5): class 0, and left, top, right and bottom as
      parts of the side.
    """
    redraw = partial(drawn, train, size, seed)
    source = f"embedded default (drawn bananas, {size}x{size}, others in every epoch)"
    held_out = drawn(test, size, seed, -1)
    return Dataset("drawn_bananas", redraw(0), held_out, source, CLASSES, redraw=redraw)


def drawn(count: int, size: int, seed: int, epoch: int) -> Split:
    """Returns pictures and boxes as `bananas` does, the same for the same numbers; the epoch is at least -1."""
    random = np.random.default_rng((seed, epoch + 1))
    pictures, labels = zip(*(picture(size, random) for _ in range(count)))
    return np.stack(pictures), np.stack(labels)[:, None]


def picture(size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns a picture, float32 (size, size, 3) of whole numbers, and the label of its banana, float32 (5,)."""
    ground = _ground(size, random)
    for _ in range(random.integers(0, 8)):
        ground = _blot(ground, random)
    ground = ground + random.uniform(0, 12) * random.standard_normal((size, size, 1), np.float32)
    crescent = _crescent(size, random)
    scale = size / 256
    shade = random.uniform(0.88, 1.08)
    light = (np.array([255, 228, 140]) + random.uniform((-10, -15, -30), (0, 12, 25))) * shade
    dark = (np.array([235, 180, 75]) + random.uniform((-15, -20, -30), (15, 20, 30))) * shade
    body = light + (dark - light) * np.clip(abs(crescent.across), 0, 1)[..., None] ** random.uniform(1, 3)
    body = body + 3 * random.standard_normal((size, size, 1), np.float32)
    tip = np.array([140.0, 95, 60]) * random.uniform(0.5, 1.2)
    lined = OUTLINE * scale * crescent.dashes
    whole = np.maximum(crescent.depth, crescent.stem)
    drawn = _over(ground, np.full(3, 20.0), whole + lined)
    drawn = _over(drawn, body, crescent.stem)
    drawn = _over(drawn, tip, np.minimum(crescent.stem, crescent.tip))
    drawn = _over(drawn, body, crescent.depth)
    inside = whole > -0.5
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / size
    return np.clip(np.rint(drawn), 0, 255).astype(np.float32), np.array([0, *box], np.float32)


def _crescent(size: int, random: np.random.Generator) -> Crescent:
    """Returns an arc that is thick in its middle, with a straight stem that grows thinner: distances in pixels."""
    radius = size * random.uniform(*RADIUS)
    half = random.uniform(1.0, 2.0)  # of the arc, in radians
    thick = radius * random.uniform(0.2, 0.36)
    turn = random.uniform(0, 2 * np.pi)
    way = random.choice((-1, 1))  # around which the stem ends the arc
    reach = 1.25 * radius
    x, y = random.uniform(reach, size - reach, 2)
    rows, columns = (axis + 0.5 for axis in np.ogrid[0:size, 0:size])
    # The arc's middle lies near (x, y), the centre of its circle half a radius away.
    u = columns - x + 0.5 * radius * np.sin(turn)
    v = rows - y + 0.5 * radius * np.cos(turn)
    distance = np.hypot(u, v)
    angle = (np.arctan2(u, v) - turn + np.pi) % (2 * np.pi) - np.pi
    width = thick * np.clip(1 - (angle / half) ** 2, 0, 1) ** 0.6
    away = distance - radius
    depth = np.where(abs(angle) < half, width - abs(away), -np.inf)
    along, beside = _from_end(u, v, radius, turn + way * 0.75 * half, way)
    length = radius * random.uniform(0.4, 0.9)
    bent = beside - random.uniform(0, 0.2) * np.clip(along, 0, None) ** 2 / length
    stem = np.where((along > 0) & (along < length), radius * (0.12 - 0.05 * along / length) - abs(bent), -np.inf)
    dashes = _dashes(angle * radius, away, random)
    return Crescent(depth, stem, along - 0.8 * length, np.clip(away / np.maximum(width, 1), -1, 1), dashes)


def _from_end(u: np.ndarray, v: np.ndarray, radius: float, angle: float, way: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns how far every pixel lies along the tangent of a circle at an angle, and how far outside of it."""
    across = np.sin(angle), np.cos(angle)
    along = way * (u * np.cos(angle) - v * np.sin(angle))
    return along, u * across[0] + v * across[1] - radius


def _dashes(around: np.ndarray, away: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns an outline of dashes, a whole one or none, now and then at the outer side alone."""
    size = len(away)
    kind = random.choice(("dashes", "whole", "none"), p=(0.6, 0.2, 0.2))
    if kind == "none":
        return np.zeros_like(away)
    lines = (around / size * 256 % 5 < 3).astype(float) if kind == "dashes" else np.ones_like(away)
    return lines * np.clip(away + 0.3, 0, 1) if random.random() < 0.4 else lines


def _over(ground: np.ndarray, colour: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Lays a colour over a picture where `depth` is above 0; the edge is half transparent."""
    inside = depth > -0.5
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    if not len(rows):
        return ground
    # Most of the picture stays, so that only the rectangle around the shape is computed.
    spot = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    alpha = np.clip(depth[spot] + 0.5, 0, 1)[..., None]
    laid = ground.copy()
    laid[spot] = ground[spot] * (1 - alpha) + np.broadcast_to(colour, ground.shape)[spot] * alpha
    return laid


def _ground(size: int, random: np.random.Generator) -> np.ndarray:
    return _photograph(size, random) if random.random() < PHOTOGRAPHS else _clouds(size, random)


def _photograph(size: int, random: np.random.Generator) -> np.ndarray:
    """Returns a part of a photograph, mirrored or turned, brighter or darker, its colours exchanged now and then."""
    from PIL import Image

    whole = photographs()[random.integers(len(photographs()))]
    side = random.integers(100, min(whole.shape[:2]))
    top, left = (random.integers(0, length - side) for length in whole.shape[:2])
    part = Image.fromarray(whole[top : top + side, left : left + side])
    part = np.asarray(part.resize((size, size), Image.Resampling.BILINEAR), np.float64)
    part = np.rot90(part, int(random.integers(4)))[:, :: random.choice((-1, 1))]
    part = part[..., random.permutation(3)] if random.random() < 0.4 else part
    return np.clip(part * random.uniform(0.5, 1.4, 3) + random.uniform(-30, 30), 0, 255)


@cache
def photographs() -> tuple[np.ndarray, ...]:
    """Returns the photographs of scikit-learn, of a temple and a flower, uint8 (427, 640, 3)."""
    from sklearn.datasets import load_sample_images

    return tuple(load_sample_images().images)


def _clouds(size: int, random: np.random.Generator) -> np.ndarray:
    """Returns soft clouds of several sizes in a few colours."""
    ground = np.broadcast_to(random.uniform(20, 220, 3), (size, size, 3))
    for cells in (2, 4, 8, 16, 32, 64):
        strength = random.uniform(5, 40)
        tint = random.uniform(0.3, 1, 3)
        ground = ground + strength * tint * _enlarged(random.normal(size=(cells, cells)), size)[..., None]
    return ground


def _enlarged(grid: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    image = Image.fromarray(grid.astype(np.float32))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), np.float64)


def _blot(ground: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Lays an ellipse, a stroke or a ring of any colour over a picture, yellow ones among them."""
    size = len(ground)
    rows, columns = (axis + 0.5 for axis in np.ogrid[0:size, 0:size])
    turn = random.uniform(0, np.pi)
    dx = columns - random.uniform(0, size)
    dy = rows - random.uniform(0, size)
    u = np.cos(turn) * dx + np.sin(turn) * dy
    v = np.cos(turn) * dy - np.sin(turn) * dx
    a, b = size * random.uniform(0.02, 0.25, 2)
    depth = (1 - np.sqrt((u / a) ** 2 + (v / b) ** 2)) * min(a, b)
    if random.random() < 0.3:
        depth = size * 0.015 - abs(depth)
    colour = random.uniform(0, 255, 3)
    if random.random() < 0.3:
        colour = np.array([235.0, 190, 70]) * random.uniform(0.5, 1.05) + random.uniform(-30, 30, 3)
    return _over(ground, colour, depth)
