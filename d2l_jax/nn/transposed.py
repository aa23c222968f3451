"""Transposed convolution with PyTorch's options."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax.cpu import add_bias
from d2l_jax.cpu.transposed import Spread, conv_transpose
from d2l_jax.errors import InputError
from d2l_jax.init import torch_bias, torch_weight
from d2l_jax.nn.affine import Size, pair


class ConvTranspose2d(nnx.Module):
    """A transposed convolution over images with PyTorch's arguments and initialisation (book, section 14.10).

    `nnx.ConvTranspose` counts padding from the other side (k - 1 - p), flips the kernel and knows neither groups nor
    output padding. `padding` rows and columns are taken off each edge of the result, `output_padding` are added below
    and on the right.

    Shapes: (batch, height, width, in_channels) -> (batch, height', width', out_channels), where height' is
    (height - 1) stride - 2 padding + dilation (kernel height - 1) + output_padding + 1; kernel (kernel height,
    kernel width, out_channels / groups, in_channels), in PyTorch (in, out / groups, height, width).
    Raises InputError where groups do not divide the channels, or output_padding is as large as stride and dilation.
    """

    weight_rule = {"kernel": ("weight", "output_first")}

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        *,
        rngs: nnx.Rngs,
    ):
        if in_channels % groups or out_channels % groups:
            raise InputError(f"{groups} groups do not divide {in_channels} and {out_channels} channels")
        self.spread = Spread(pair(stride), pair(padding), pair(output_padding), pair(dilation), groups)
        for more, *steps in zip(self.spread.output_padding, self.spread.stride, self.spread.dilation):
            if more >= max(steps):
                raise InputError(f"output_padding {more} is too large: less than stride or dilation is right")
        height, width = pair(kernel_size)
        shape = (height, width, out_channels // groups, in_channels)
        self.kernel = nnx.Param(torch_weight(rngs.params(), shape, jnp.float32))
        start = torch_bias(out_channels // groups * height * width)
        self.bias = nnx.Param(start(rngs.params(), (out_channels,), jnp.float32)) if bias else None

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        y = conv_transpose(x, self.kernel[...], self.spread)
        return y if self.bias is None else add_bias(y, self.bias[...])
