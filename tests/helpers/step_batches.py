"""Batches of classes for a user's training step, the loss in Optax's words, and a network in PyTorch."""

import numpy as np
import optax
import torch

random = np.random.default_rng(0)
IMAGES = [(random.normal(size=(6, 8, 8, 3)).astype(np.float32), random.integers(0, 4, 6)) for _ in range(3)]
TABLES = [(random.normal(size=(9, 6)).astype(np.float32), random.integers(0, 3, 9)) for _ in range(3)]
EXACT = ("float64",)


def loss_of(scores, y):
    return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()


def deep():
    torch.manual_seed(0)
    layers = (torch.nn.Linear(6, 6), torch.nn.Tanh(), torch.nn.Linear(6, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))
    return torch.nn.Sequential(*layers)
