"""Sizes of feature maps, which a dense layer behind a flatten needs to know."""

from collections.abc import Iterable
from typing import Any

from torch import nn


def pair(size: Any) -> tuple[int, int]:
    """The pair (height, width) of a size: `3` becomes `(3, 3)`, a pair stays."""
    return (size, size) if isinstance(size, int) else size


def out_size(n: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    """The size along one axis behind a convolution or pool: floor((n - k + 2p + s) / s)."""
    return (n - kernel_size + 2 * padding + stride) // stride


def map_size(layers: Iterable[nn.Module], size: tuple[int, int]) -> tuple[int, int]:
    """The (height, width) of the maps behind `layers`, for images of `size`."""
    for layer in layers:
        match layer:
            case nn.Sequential():
                size = map_size(layer, size)
            case nn.Conv2d() | nn.MaxPool2d() | nn.AvgPool2d():
                window = map(pair, (layer.kernel_size, layer.stride, layer.padding))
                height, width = map(out_size, size, *window)
                size = height, width
    return size
