"""Flax's affine layers, started as PyTorch starts them."""

import math
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax.cpu import add_bias, conv_general_dilated, dot_general
from d2l_jax.init import torch_bias, torch_weight

Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    """`3` -> `(3, 3)`; a pair (height, width) stays."""
    return (size, size) if isinstance(size, int) else size


class Linear(nnx.Linear):
    """`nnx.Linear` with PyTorch's initialisation: weight and bias U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Shapes: (batch, in_features) -> (batch, out_features); kernel (in_features, out_features).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, rngs: nnx.Rngs):
        super().__init__(
            in_features,
            out_features,
            use_bias=bias,
            kernel_init=torch_weight,
            bias_init=torch_bias(in_features),
            dot_general=dot_general,
            rngs=rngs,
        )

    def __call__(
        self, inputs: Float[Array, "*batch in_features"], out_sharding: Any = None
    ) -> Float[Array, "*batch out_features"]:
        if self.bias is None or out_sharding is not None:
            return super().__call__(inputs, out_sharding)
        inputs, kernel, bias = self.promote_dtype((inputs, self.kernel[...], self.bias[...]), dtype=self.dtype)
        numbers = (((inputs.ndim - 1,), (0,)), ((), ()))
        return add_bias(self.dot_general(inputs, kernel, numbers, precision=self.precision), bias)


class _Conv(nnx.Conv):
    """`nnx.Conv` with PyTorch's initialisation, as in `Linear`; kernel, stride and padding as one number for each axis.

    `padding` counts the zeros on each side: "SAME" would pad unevenly where the stride is above 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        groups: int,
        bias: bool,
        *,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            strides=stride,
            padding=tuple((p, p) for p in padding),
            feature_group_count=groups,
            use_bias=False,  # `__call__` adds it
            kernel_init=torch_weight,
            conv_general_dilated=conv_general_dilated,
            rngs=rngs,
        )
        if bias:
            start = torch_bias(in_channels // groups * math.prod(kernel_size))
            self.bias = nnx.Param(start(rngs.params(), (out_channels,), jnp.float32))

    def __call__(self, inputs: Float[Array, "*batch in_channels"], out_sharding: Any = None) -> Float[Array, "..."]:
        y = super().__call__(inputs, out_sharding)
        return y if self.bias is None else add_bias(y, self.bias[...])


class Conv1d(_Conv):
    """`nnx.Conv` over sequences with PyTorch's arguments and initialisation; `padding` counts zeros on each side.

    Shapes: (batch, steps, in_channels) -> (batch, steps', out_channels); kernel (kernel size, in_channels / groups,
    out_channels).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = True,
        *,
        rngs: nnx.Rngs,
    ):
        super().__init__(in_channels, out_channels, (kernel_size,), (stride,), (padding,), groups, bias, rngs=rngs)


class Conv2d(_Conv):
    """`nnx.Conv` over images with PyTorch's arguments and initialisation; `padding` counts zeros on each side.

    Shapes: (batch, height, width, in_channels) -> (batch, height', width', out_channels); kernel
    (kernel height, kernel width, in_channels / groups, out_channels).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        *,
        rngs: nnx.Rngs,
    ):
        kernel, strides, zeros = pair(kernel_size), pair(stride), pair(padding)
        super().__init__(in_channels, out_channels, kernel, strides, zeros, groups, bias, rngs=rngs)
