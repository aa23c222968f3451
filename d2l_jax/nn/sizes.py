"""Sizes of feature maps: what stands before a flatten must be known when the dense layer is made."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flax import nnx

from d2l_jax.errors import InputError
from d2l_jax.nn.pool import AvgPool2d, MaxPool2d
from d2l_jax.nn.sequential import Sequential

Sizes = int | Sequence[int]


def output_size(n: Sizes, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes = 0) -> Any:
    """Size behind a convolution or pool: floor((n - k + 2p + s) / s) along each axis (book, section 7.3; notes A7).

    Padding (k - 1) / 2 keeps the size; a stride that divides it, then, divides it.
    Each argument is a number, or has one for each axis; a tuple is returned where any of them has.
    Raises InputError where the kernel does not fit into the padded input, or a stride is below 1.
    """
    axes = [len(each) for each in (n, kernel_size, stride, padding) if isinstance(each, Sequence)]
    if axes:
        each_axis = [_each_axis(each, max(axes)) for each in (n, kernel_size, stride, padding)]
        return tuple(map(_axis_size, *each_axis))
    return _axis_size(n, kernel_size, stride, padding)


def _axis_size(n: Any, kernel_size: Any, stride: Any, padding: Any) -> int:
    if stride < 1 or kernel_size < 1 or padding < 0:
        raise InputError(f"kernel {kernel_size}, stride {stride}, padding {padding}: at least 1, 1 and 0 are right")
    if kernel_size > n + 2 * padding:
        raise InputError(f"a kernel of {kernel_size} does not fit into {n} with a padding of {padding} on each side")
    return (n - kernel_size + 2 * padding + stride) // stride


def _each_axis(sizes: Sizes, axes: int) -> Sequence[int]:
    if not isinstance(sizes, Sequence):
        return (sizes,) * axes
    if len(sizes) != axes:
        raise InputError(f"{tuple(sizes)} has {len(sizes)} axes where another argument has {axes}")
    return sizes


def map_size(layers: Iterable[Callable], size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the maps behind `layers`, for images of `size`."""
    for layer in layers:
        match layer:
            case Sequential():
                size = map_size(layer, size)
            case nnx.Conv():
                padding = (before for before, _ in layer.padding)
                size = tuple(map(output_size, size, layer.kernel_size, layer.strides, padding))
            case MaxPool2d() | AvgPool2d():
                size = tuple(map(output_size, size, layer.kernel_size, layer.stride, layer.padding))
    return size
