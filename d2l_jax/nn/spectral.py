"""Layers whose weight is divided by its largest singular value, as PyTorch estimates it."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.cpu import add_bias, conv_general_dilated, dot_general
from d2l_jax.nn.affine import Conv2d, Linear, Size, pair
from d2l_jax.nn.buffer import Buffer

Kernel = Float[Array, "*window in_features out_features"]
Vector = Float[Array, "_"]

EPS = 1e-12
FIRST = 15  # iterations before the first step


class SpectralWeight(nnx.Module):
    """A kernel over its spectral norm (Miyato et al. 2018); PyTorch's `parametrizations.spectral_norm`.

    The norm is u W v, W the weight as a matrix (outputs, the rest) in PyTorch's order. In training every call first
    brings u and v a step of the power method nearer to the singular vectors; no gradient goes through that step.
    `nnx.SpectralNorm` writes over the kernel of the layer that it wraps.

    Returns the kernel when it is called.
    """

    weight_rule = {"original": ("original", "output_first")}

    def __init__(self, kernel: Kernel, *, rngs: nnx.Rngs):
        self.original = nnx.Param(kernel)
        matrix = _as_matrix(kernel)
        u, v = (jax.random.normal(rngs.params(), (size,), kernel.dtype) for size in matrix.shape)
        for _ in range(FIRST):
            u, v = _nearer(matrix, v)
        setattr(self, "0", SingularVectors(u, v))
        self.use_running_average = False

    def __call__(self) -> Kernel:
        kernel = self.original[...]
        matrix = _as_matrix(kernel)
        vectors = getattr(self, "0")
        u, v = vectors._u[...], vectors._v[...]
        if not self.use_running_average:
            u, v = lax.stop_gradient(_nearer(matrix, v))
            vectors._u.set_value(u)
            vectors._v.set_value(v)
        return kernel / jnp.vdot(u, matrix @ v)

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Sets the mode, for `nnx.view`, `train()` and `eval()`."""
        if use_running_average is not None:
            self.use_running_average = use_running_average


class SingularVectors(nnx.Module):
    """The estimates of the first left and right singular vector."""

    def __init__(self, u: Vector, v: Vector):
        self._u = Buffer(u)
        self._v = Buffer(v)


class Parametrizations(nnx.Module):
    """What PyTorch calls the weights that are computed from others."""

    def __init__(self, weight: SpectralWeight):
        self.weight = weight


class SpectralLinear(nnx.Module):
    """`Linear` with its weight over its spectral norm.

    Shapes: (batch, in_features) -> (batch, out_features).
    """

    def __init__(self, in_features: int, out_features: int, *, rngs: nnx.Rngs):
        layer = Linear(in_features, out_features, rngs=rngs)
        self.bias: Any = layer.bias
        self.parametrizations = Parametrizations(SpectralWeight(layer.kernel[...], rngs=rngs))

    def __call__(self, x: Float[Array, "*batch in_features"]) -> Float[Array, "*batch out_features"]:
        y = dot_general(x, self.parametrizations.weight(), (((x.ndim - 1,), (0,)), ((), ())))
        return add_bias(y, self.bias[...])


class SpectralConv2d(nnx.Module):
    """`Conv2d` with its weight over its spectral norm.

    Shapes: (batch, height, width, in_channels) -> (batch, height', width', out_channels).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        *,
        rngs: nnx.Rngs,
    ):
        layer = Conv2d(in_channels, out_channels, kernel_size, rngs=rngs)
        self.bias: Any = layer.bias
        self.parametrizations = Parametrizations(SpectralWeight(layer.kernel[...], rngs=rngs))
        self.convolve = partial(
            conv_general_dilated,
            window_strides=pair(stride),
            padding=tuple((p, p) for p in pair(padding)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        return add_bias(self.convolve(x, self.parametrizations.weight()), self.bias[...])


def _as_matrix(kernel: Kernel) -> Float[Array, "out_features rest"]:
    *window, inputs, outputs = kernel.shape
    axes = (len(window) + 1, len(window), *range(len(window)))
    return kernel.transpose(axes).reshape(outputs, inputs * math.prod(window))


def _nearer(matrix: Float[Array, "out_features rest"], v: Vector) -> tuple[Vector, Vector]:
    """Returns (u, v) one step of the power method nearer."""
    u = _unit(matrix @ v)
    return u, _unit(matrix.T @ u)


def _unit(x: Vector) -> Vector:
    return x / jnp.maximum(jnp.linalg.norm(x), EPS)
