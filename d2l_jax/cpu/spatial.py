"""Convolution in the algorithm that suits its shape, and so its gradients."""

from types import ModuleType

from d2l_jax.cpu import direct, winograd
from d2l_jax.cpu.bilinear import bilinear
from d2l_jax.cpu.direct import Images, Kernel, Maps
from d2l_jax.cpu.geometry import Geometry

Shape = tuple[int, ...]


def convolve(x: Images, w: Kernel, geometry: Geometry) -> Maps:
    """The convolution of `lax`, with gradients of its own: the algorithm of each is chosen by shape."""
    return _bound(x, w, geometry=geometry)


def _algorithm(x: Shape, w: Shape, geometry: Geometry, dtype: object) -> ModuleType:
    return winograd if winograd.suits(x, w, geometry, dtype) else direct


def _convolution(x: Images, w: Kernel, geometry: Geometry) -> Maps:
    return _algorithm(x.shape, w.shape, geometry, x.dtype).convolution(x, w, geometry)


def _input_gradient(g: Maps, w: Kernel, shape: Shape, geometry: Geometry) -> Images:
    return _algorithm(shape, w.shape, geometry, g.dtype).input_gradient(g, w, shape, geometry)


def _kernel_gradient(x: Images, g: Maps, shape: Shape, geometry: Geometry) -> Kernel:
    return _algorithm(x.shape, shape, geometry, g.dtype).kernel_gradient(x, g, shape, geometry)


_bound = bilinear(_convolution, _input_gradient, _kernel_gradient)
