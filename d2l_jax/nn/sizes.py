"""Sizes of feature maps: what stands before a flatten must be known when the dense layer is made."""

from collections.abc import Callable, Iterable

from flax import nnx

from d2l_jax.nn.pool import AvgPool2d, MaxPool2d
from d2l_jax.nn.sequential import Sequential


def out_size(n: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    """Size along one axis behind a convolution or pool: floor((n - k + 2p + s) / s) (book, section 7.3).

    Padding (k - 1) / 2 keeps the size; a stride that divides it, then, divides it.
    """
    return (n - kernel_size + 2 * padding + stride) // stride


def map_size(layers: Iterable[Callable], size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the maps behind `layers`, for images of `size`."""
    for layer in layers:
        match layer:
            case Sequential():
                size = map_size(layer, size)
            case nnx.Conv():
                padding = (before for before, _ in layer.padding)
                size = tuple(map(out_size, size, layer.kernel_size, layer.strides, padding))
            case MaxPool2d() | AvgPool2d():
                size = tuple(map(out_size, size, layer.kernel_size, layer.stride, layer.padding))
    return size
