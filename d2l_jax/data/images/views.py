"""Other views of pictures with one box each: a part that holds the box, turned, mirrored, in another light."""

import numpy as np
from jaxtyping import Float

from d2l_jax.data.dataset import Split
from d2l_jax.data.images.resize import resize_images

NARROWEST = 0.55  # of the sides of a part, as a part of the picture's
LIGHT = (0.7, 1.25)  # of each channel
Image = Float[np.ndarray, "side side channels"]
Label = Float[np.ndarray, "5"]


def views(split: Split, count: int, random: np.random.Generator) -> Split:
    """Returns `count` views of square pictures float32 (N, side, side, C), each of one of them, with their boxes.

    Labels are float32 (N, 1, 5): class, and left, top, right and bottom as parts of the side.
    """
    X, y = split
    pairs = [view(X[number], y[number, 0], random) for number in random.integers(len(X), size=count)]
    pictures, labels = zip(*pairs)
    return np.stack(pictures), np.stack(labels)[:, None]


def view(image: Image, label: Label, random: np.random.Generator) -> tuple[Image, Label]:
    """Returns a part of a picture at the picture's size, in one of its eight positions, and where the box is now."""
    image, box = _part(image, label[1:].astype(np.float64), random)
    if random.random() < 0.5:
        image, box = image[:, ::-1], box[[2, 1, 0, 3]] * (-1, 1, -1, 1) + (1, 0, 1, 0)
    for _ in range(random.integers(4)):
        # A quarter turn against the clock: what was at the right is at the top.
        image, box = np.rot90(image), box[[1, 2, 3, 0]] * (1, -1, 1, -1) + (0, 1, 0, 1)
    lit = image * random.uniform(*LIGHT) * random.uniform(0.9, 1.1, image.shape[-1])
    return np.clip(np.rint(lit), 0, 255).astype(np.float32), np.array([label[0], *box], np.float32)


def _part(image: Image, box: np.ndarray, random: np.random.Generator) -> tuple[Image, np.ndarray]:
    """Returns a square part that holds the whole box, at the picture's size, and the box as parts of its sides."""
    size = len(image)
    edges = np.round(box * size, 3)
    low, high = np.floor(edges[:2]).astype(int), np.ceil(edges[2:]).astype(int)
    side = int(max((high - low).max(), size * random.uniform(NARROWEST, 1)))
    left, top = random.integers(np.maximum(0, high - side), np.minimum(size - side, low), endpoint=True)
    part = image[top : top + side, left : left + side].astype(np.uint8)
    corner = np.array([left, top, left, top])
    return resize_images(part[None], (size, size))[0].astype(np.float32), (box * size - corner) / side
