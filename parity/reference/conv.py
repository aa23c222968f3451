"""Cross-correlation, channels and pooling as formulas (book, sections 7.2, 7.4 and 7.5).

Images have no batch axis; channels, where there are any, come first.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Image = Float[Tensor, "height width"]
Image1 = Float[Tensor, "height1 width1"]
POOLING = {
    "overlapping": nn.MaxPool2d(3, padding=1, stride=2),
    "unequal_strides": nn.MaxPool2d((2, 3), stride=(1, 2), padding=(0, 1)),
    "adaptive": nn.AdaptiveAvgPool2d((2, 3)),
}


def windows(X: Image, size: tuple[int, ...]) -> Float[Tensor, "height1 width1 kh kw"]:
    """The windows of `size` at every position of `X`."""
    return X.unfold(0, size[0], 1).unfold(1, size[1], 1)


def corr2d(X: Image, K: Float[Tensor, "kh kw"]) -> Image1:
    """Cross-correlation of an image and a kernel, without padding (book, section 7.2)."""
    return (windows(X, K.shape) * K).sum((-2, -1))


def corr2d_multi_in(X: Float[Tensor, "channels height width"], K: Float[Tensor, "channels kh kw"]) -> Image1:
    """The sum of the channels' cross-correlations (book, section 7.4)."""
    return torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=True)]).sum(0)


def corr2d_multi_in_out(
    X: Float[Tensor, "channels height width"], K: Float[Tensor, "out channels kh kw"]
) -> Float[Tensor, "out height1 width1"]:
    """Cross-correlation of all channels with each kernel, which gives an output channel (book, section 7.4)."""
    return torch.stack([corr2d_multi_in(X, k) for k in K])


def pool2d(X: Image, size: tuple[int, int], mode: str = "max") -> Image1:
    """The maximum or the mean ("avg") of each window, which moves by one (book, section 7.5)."""
    reduce = {"max": torch.amax, "avg": torch.mean}[mode]
    return reduce(windows(X, size), (-2, -1))


class Conv2D(nn.Module):
    """A convolutional layer from scratch; weight from U(0, 1), bias 0 (book, section 7.2)."""

    def __init__(self, kernel_size: tuple[int, int]):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Image) -> Image1:
        return corr2d(X, self.weight) + self.bias


def edge_detector(kernel_size: tuple[int, int] = (1, 2)) -> nn.Conv2d:
    """The layer that learns the kernel [1, -1] from an image and its edges (book, section 7.2)."""
    return nn.Conv2d(1, 1, kernel_size, bias=False)


@dataclass(frozen=True)
class Operated:
    """An evaluation: the operators of chapter 7 that no model calls, on the image of "input"."""

    def __call__(self, nets: nn.Module, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns poolings as functions and as layers, and the cross-correlation of three channels with two kernels."""
        image = tensors["input"]
        channels = torch.stack([image, image**2, 1 - image])
        kernels = torch.stack([torch.stack([image[i : i + 2, j : j + 3] for j in range(3)]) for i in range(2)])
        pooled = {mode: pool2d(image, (2, 3), mode) for mode in ("max", "avg")}
        pooled |= {name: layer(image[None, None])[0, 0] for name, layer in POOLING.items()}
        return pooled | {"channels": corr2d_multi_in_out(channels, kernels)}
