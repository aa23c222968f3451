"""MobileNet V1 (Howard et al. 2017) and V2 (Sandler et al. 2018), which are not in the book."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import variance_scaling
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_weights

Maps = Float[Array, "batch height width channels"]

V1_BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
"""(channels, stride) of each block of V1: table 1 of the paper, whose last block keeps the size."""

V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""(expansion, channels, blocks, stride of the first block) of each stage of V2: table 2 of the paper."""


def separable_block(in_channels: int, num_channels: int, stride: int, *, rngs: nnx.Rngs) -> nn.Sequential:
    """A 3x3 convolution within each channel, then a 1x1 convolution across them."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False, rngs=rngs),
        nn.BatchNorm(in_channels),
        nnx.relu,
        nn.Conv2d(in_channels, num_channels, 1, bias=False, rngs=rngs),
        nn.BatchNorm(num_channels),
        nnx.relu,
    )


class MobileNetV1(nnx.Module):
    """MobileNet V1 (not in the book): a convolution, 13 separable blocks and a dense layer.

    `width_mult` scales all channels, `blocks` are (channels, stride) of each separable block.
    """

    def __init__(
        self,
        num_classes: int = 10,
        width_mult: float = 1.0,
        in_channels: int = 1,
        blocks: tuple[tuple[int, int], ...] = V1_BLOCKS,
        *,
        rngs: nnx.Rngs,
    ):
        channels = int(32 * width_mult)
        stem = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride=2, padding=1, bias=False, rngs=rngs),
            nn.BatchNorm(channels),
            nnx.relu,
        )
        layers = [stem]
        for width, stride in blocks:
            layers.append(separable_block(channels, int(width * width_mult), stride, rngs=rngs))
            channels = int(width * width_mult)
        head = nn.AdaptiveAvgPool2d(1), nn.flatten, nn.Linear(channels, num_classes, rngs=rngs)
        self.net = nn.Sequential(*layers, *head)

    def __call__(self, X: Maps) -> Float[Array, "batch classes"]:
        return self.net(X)


def conv_bn_relu6(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1, *, rngs: nnx.Rngs
) -> nn.Sequential:
    """A convolution padded by (kernel_size - 1) // 2, batch normalisation and min(max(x, 0), 6)."""
    padding = (kernel_size - 1) // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups, bias=False, rngs=rngs),
        nn.BatchNorm(out_channels),
        nnx.relu6,
    )


class InvertedResidual(nnx.Module):
    """A block that expands the channels, convolves within each, and projects them back without an activation."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int, *, rngs: nnx.Rngs):
        hidden = in_channels * expansion
        expand = [conv_bn_relu6(in_channels, hidden, 1, rngs=rngs)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *expand,
            conv_bn_relu6(hidden, hidden, 3, stride, groups=hidden, rngs=rngs),
            nn.Conv2d(hidden, out_channels, 1, bias=False, rngs=rngs),
            nn.BatchNorm(out_channels),
        )
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def __call__(self, X: Maps) -> Float[Array, "batch height1 width1 channels1"]:
        return X + self.conv(X) if self.has_shortcut else self.conv(X)


class MobileNetV2(nnx.Module):
    """MobileNet V2 (not in the book): inverted residuals between two convolutions, and a dense layer.

    Names and initialisation are torchvision's, and so is `inverted_residual_setting`: see `V2_STAGES`.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        dropout: float = 0.2,
        in_channels: int = 3,
        inverted_residual_setting: tuple[tuple[int, int, int, int], ...] = V2_STAGES,
        *,
        rngs: nnx.Rngs,
    ):
        channels = divisible(32 * width_mult)
        stem = conv_bn_relu6(in_channels, channels, 3, 2, rngs=rngs)
        blocks = []
        for expansion, width, num_blocks, stride in inverted_residual_setting:
            width = divisible(width * width_mult)
            for i in range(num_blocks):
                blocks.append(InvertedResidual(channels, width, 1 if i else stride, expansion, rngs=rngs))
                channels = width
        last = divisible(1280 * max(1.0, width_mult))
        self.features = nn.Sequential(stem, *blocks, conv_bn_relu6(channels, last, 1, rngs=rngs))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nnx.Dropout(dropout, rngs=rngs), nn.Linear(last, num_classes, rngs=rngs))
        init_weights(self.features, variance_scaling(2.0, "fan_out", "normal"), rngs=rngs)
        init_weights(self.classifier, jax.nn.initializers.normal(0.01), rngs=rngs)
        self.classifier[1].bias[...] = jnp.zeros(num_classes, jnp.float32)

    def __call__(self, X: Maps) -> Float[Array, "batch classes"]:
        return self.classifier(nn.flatten(self.pool(self.features(X))))


def divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `channels`, or the next larger one where that loses more than a tenth."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor
