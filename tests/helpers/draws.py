"""Draws of an initialiser on both sides, compared as distributions."""

import math

import jax
import numpy as np
import torch
from scipy.stats import ks_2samp

CONV = (3, 5, 23, 61)  # (*window, in, out) as in Flax; in and out differ, so that no fan passes for the other
DENSE = (127, 311)


def ours(initializer, shape, dtype="float64"):
    return np.asarray(initializer(jax.random.key(0), shape, dtype))


def theirs(name, shape, *args, **options):
    """Returns what PyTorch's initialiser draws, in Flax's layout."""
    *window, inputs, outputs = shape
    tensor = torch.empty(outputs, inputs, *window, dtype=torch.float64)
    torch.manual_seed(0)
    getattr(torch.nn.init, name + "_")(tensor, *args, **options)
    return tensor.permute(*range(2, tensor.ndim), 1, 0).numpy()


def same_distribution(left, right):
    """The smallest p-value of: both tensors are drawn from one distribution.

    The Kolmogorov-Smirnov test alone would not see that tails are cut off; the fourth moments do.
    """
    assert left.shape == right.shape
    left = left.ravel().astype("float64")
    right = right.ravel().astype("float64")
    return min(ks_2samp(left, right, method="asymp").pvalue, *(same_mean(left**k, right**k) for k in (1, 2, 4)))


def same_mean(left, right):
    error = math.sqrt(np.var(left) / left.size + np.var(right) / right.size)
    return math.erfc(abs(np.mean(left) - np.mean(right)) / error / math.sqrt(2))


# p-values; the seeds are fixed
SAME = 1e-3
OTHER = 1e-9
