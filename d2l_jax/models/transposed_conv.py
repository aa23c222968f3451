"""Transposed convolution: as a layer, by hand, and as a product with a matrix (book, section 14.10)."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn

Image = Float[Array, "height width"]
Window = Float[Array, "kernel_height kernel_width"]
Size = int | tuple[int, int]


def transposed_conv(
    in_channels: int = 20,
    out_channels: int = 10,
    kernel_size: Size = 5,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    bias: bool = True,
    dilation: Size = 1,
    *,
    rngs: nnx.Rngs,
) -> nn.ConvTranspose2d:
    """The layer of section 14.10, which takes a convolution's output back to its input's size."""
    return nn.ConvTranspose2d(
        in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, rngs=rngs
    )


def trans_conv(X: Image, K: Window) -> Float[Array, "out_height out_width"]:
    """Adds X[i, j] K to the window of the result that begins at (i, j) (section 14.10)."""
    h, w = K.shape
    Y = jnp.zeros((X.shape[0] + h - 1, X.shape[1] + w - 1), X.dtype)
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            Y = Y.at[i : i + h, j : j + w].add(X[i, j] * K)
    return Y


def kernel2matrix(K: Window, size: tuple[int, int] = (3, 3)) -> Float[Array, "out_pixels in_pixels"]:
    """Returns the matrix W of a cross-correlation with K of images of `size` (height, width).

    W times the image, flattened row by row, is the convolution; the transposed W takes maps of that size back to the
    size of the image, as `trans_conv` does (section 14.10).
    """
    h, w = K.shape
    rows = []
    for i in range(size[0] - h + 1):
        for j in range(size[1] - w + 1):
            rows.append(jnp.zeros(size, K.dtype).at[i : i + h, j : j + w].set(K).reshape(-1))
    return jnp.stack(rows)


def bilinear_kernel(
    in_channels: int, out_channels: int, kernel_size: int
) -> Float[Array, "in_channels out_channels kernel_size kernel_size"]:
    """The weight with which a transposed convolution interpolates bilinearly, in PyTorch's layout (section 14.11).

    Channel c of the output is made from channel c of the input alone; all other weights are zero.
    """
    factor = (kernel_size + 1) // 2
    center = factor - 1 if kernel_size % 2 else factor - 0.5
    tent = 1 - jnp.abs(jnp.arange(kernel_size, dtype=jnp.float32) - center) / factor
    diagonal = jnp.eye(in_channels, out_channels, dtype=jnp.float32)
    return jnp.einsum("io,h,w->iohw", diagonal, tent, tent)
