"""Flattening in PyTorch's order."""

import math

from jaxtyping import Array, Float

from d2l_jax.cpu.materialised import materialised


def flatten(x: Float[Array, "batch *features"]) -> Float[Array, "batch flat"]:
    """All axes but the first into one; images in (channels, height, width) order.

    The dense layer behind a convolution then reads its inputs in the order of the PyTorch chapter.
    """
    if x.ndim == 4 and min(x.shape[1] * x.shape[2], x.shape[3]) > 1:
        x = materialised(x).transpose(0, 3, 1, 2)
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))
