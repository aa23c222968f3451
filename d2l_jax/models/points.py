"""A generator and a critic of points of the plane: 25 Gaussians on a grid (second edition, convergence of GANs)."""

from collections.abc import Callable
from functools import partial

import numpy as np
from flax import nnx

from d2l_jax import nn

SPACING = 2.0
SPREAD = 0.05


def points_generator(num_latents: int = 64, num_hiddens: int = 256, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Makes points (batch, 2) of latent numbers: two hidden layers with ReLU."""
    return _layers((num_latents, num_hiddens, num_hiddens, 2), nnx.relu, rngs)


def points_critic(num_hiddens: int = 256, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Scores points (batch, 2): two hidden layers with leaky ReLU of slope 0.2."""
    return _layers((2, num_hiddens, num_hiddens, 1), partial(nn.leaky_relu, negative_slope=0.2), rngs)


def _layers(sizes: tuple[int, int, int, int], activation: Callable, rngs: nnx.Rngs) -> nn.Sequential:
    first, second, last = (nn.Linear(*pair, rngs=rngs) for pair in zip(sizes, sizes[1:]))
    return nn.Sequential(first, activation, second, activation, last)


def draw_grid(random: np.random.Generator, size: int = 7, num_latents: int = 64) -> dict[str, np.ndarray]:
    """Draws points "X" around the 25 crossings of a grid and latent numbers "Z", float32; "X_G", "Z_G" are others."""
    batch = {}
    for end in ("", "_G"):
        centres = SPACING * random.integers(-2, 3, size=(size, 2))
        batch["X" + end] = (centres + SPREAD * random.normal(size=(size, 2))).astype(np.float32)
        batch["Z" + end] = random.normal(size=(size, num_latents)).astype(np.float32)
    return batch
