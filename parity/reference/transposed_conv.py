"""Transposed convolution: as a layer, by hand, and as a product with a matrix (book, section 14.10)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Image = Float[Tensor, "height width"]
Window = Float[Tensor, "kernel_height kernel_width"]
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
) -> nn.ConvTranspose2d:
    """The layer of section 14.10, which takes a convolution's output back to its input's size."""
    return nn.ConvTranspose2d(
        in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation
    )


def trans_conv(X: Image, K: Window) -> Float[Tensor, "out_height out_width"]:
    """Adds X[i, j] K to the window of the result that begins at (i, j) (section 14.10)."""
    h, w = K.shape
    Y = torch.zeros((X.shape[0] + h - 1, X.shape[1] + w - 1), dtype=X.dtype)
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            Y[i : i + h, j : j + w] += X[i, j] * K
    return Y


def kernel2matrix(K: Window, size: tuple[int, int] = (3, 3)) -> Float[Tensor, "out_pixels in_pixels"]:
    """Returns the matrix of a cross-correlation with K of images of `size` (height, width) (section 14.10)."""
    h, w = K.shape
    rows = []
    for i in range(size[0] - h + 1):
        for j in range(size[1] - w + 1):
            row = torch.zeros(size, dtype=K.dtype)
            row[i : i + h, j : j + w] = K
            rows.append(row.reshape(-1))
    return torch.stack(rows)


def bilinear_kernel(
    in_channels: int, out_channels: int, kernel_size: int
) -> Float[Tensor, "in_channels out_channels kernel_size kernel_size"]:
    """The weight with which a transposed convolution interpolates bilinearly (section 14.11)."""
    factor = (kernel_size + 1) // 2
    center = factor - 1 if kernel_size % 2 else factor - 0.5
    tent = 1 - (torch.arange(kernel_size) - center).abs() / factor
    return torch.eye(in_channels, out_channels)[:, :, None, None] * (tent[:, None] * tent)


@dataclass(frozen=True)
class TransposedByHand:
    """An evaluation: the operators of the section on the first image of "input", with a kernel cut from it."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns the transposed convolution by hand, and as a product with a convolution's matrix."""
        image = tensors["input"][0, 0]
        kernel = image[:2, :3]
        size = (image.shape[0] + 1, image.shape[1] + 2)
        product = kernel2matrix(kernel, size).T @ image.reshape(-1)
        return {"by_hand": trans_conv(image, kernel), "by_matrix": product.reshape(size)}
