"""Flattening in PyTorch's order."""

from jaxtyping import Array, Float


def flatten(x: Float[Array, "batch *features"]) -> Float[Array, "batch flat"]:
    """All axes but the first into one; images in (channels, height, width) order.

    The dense layer behind a convolution then reads its inputs in the order of the PyTorch chapter.
    """
    if x.ndim == 4:
        x = x.transpose(0, 3, 1, 2)
    return x.reshape(x.shape[0], -1)
