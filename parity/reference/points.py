"""A generator and a critic of points of the plane: 25 Gaussians on a grid (second edition, convergence of GANs)."""

from collections.abc import Callable

from torch import nn


def points_generator(num_latents: int = 64, num_hiddens: int = 256) -> nn.Sequential:
    """Makes points (batch, 2) of latent numbers: two hidden layers with ReLU."""
    return _layers((num_latents, num_hiddens, num_hiddens, 2), nn.ReLU)


def points_critic(num_hiddens: int = 256) -> nn.Sequential:
    """Scores points (batch, 2): two hidden layers with leaky ReLU of slope 0.2."""
    return _layers((2, num_hiddens, num_hiddens, 1), lambda: nn.LeakyReLU(0.2))


def _layers(sizes: tuple[int, int, int, int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    first, second, last = (nn.Linear(*pair) for pair in zip(sizes, sizes[1:]))
    return nn.Sequential(first, activation(), second, activation(), last)
