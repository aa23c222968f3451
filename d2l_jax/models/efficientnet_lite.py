"""EfficientNet-Lite0 (Tan and Le 2019, without squeeze and excitation), a backbone to fine-tune as in section 14.2."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import variance_scaling
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_weights
from d2l_jax.models.mobilenet import divisible

Maps = Float[Array, "batch height width channels"]

STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
"""(expansion, channels, blocks, stride of the first block, kernel size) of each stage: table 1 of the paper."""

EPS = 1e-3
"""What batch normalisation adds to the variance, TensorFlow's default."""


class PadSame(nnx.Module):
    """Zeros around images as TensorFlow's "SAME" has them: where their number is odd, one more below and right.

    A convolution of this kernel size and stride then has ceil(size / stride) places along each axis.
    """

    def __init__(self, kernel_size: int, stride: int):
        self.kernel_size = kernel_size
        self.stride = stride

    def __call__(self, X: Maps) -> Float[Array, "batch height1 width1 channels"]:
        sides = [self._zeros(size) for size in X.shape[1:3]]
        return jnp.pad(X, ((0, 0), *sides, (0, 0)))

    def _zeros(self, size: int) -> tuple[int, int]:
        places = -(-size // self.stride)
        zeros = max((places - 1) * self.stride + self.kernel_size - size, 0)
        return zeros // 2, zeros - zeros // 2


def conv_bn(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1, *, rngs: nnx.Rngs
) -> nn.Sequential:
    """Zeros as `PadSame` adds them, a convolution without bias and batch normalisation."""
    return nn.Sequential(
        PadSame(kernel_size, stride),
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, groups=groups, bias=False, rngs=rngs),
        nn.BatchNorm(out_channels, eps=EPS),
    )


class Block(nnx.Module):
    """Expands the channels, convolves within each, and projects them back without an activation."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expansion: int, kernel_size: int, *, rngs: nnx.Rngs
    ):
        hidden = in_channels * expansion
        self.expand = conv_bn(in_channels, hidden, 1, rngs=rngs) if expansion != 1 else None
        self.depthwise = conv_bn(hidden, hidden, kernel_size, stride, groups=hidden, rngs=rngs)
        self.project = conv_bn(hidden, out_channels, 1, rngs=rngs)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def __call__(self, X: Maps) -> Float[Array, "batch height1 width1 channels1"]:
        Y = nnx.relu6(self.expand(X)) if self.expand else X
        Y = self.project(nnx.relu6(self.depthwise(Y)))
        return X + Y if self.has_shortcut else Y


class EfficientNetLite0(nnx.Module):
    """EfficientNet-Lite0 (not in the book): MobileNet V2's blocks, some with kernels of 5, between two convolutions.

    Shapes: (batch, height, width, 3), of pixels from -1 to 1 -> (batch, num_classes).
    `weights.efficientnet_lite` reads those that were trained on ImageNet.
    """

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2, *, rngs: nnx.Rngs):
        channels, last = divisible(32 * width_mult), divisible(1280 * width_mult)
        self.stem = conv_bn(3, channels, 3, 2, rngs=rngs)
        blocks = []
        for expansion, width, num_blocks, stride, kernel_size in STAGES:
            width = divisible(width * width_mult)
            for i in range(num_blocks):
                blocks.append(Block(channels, width, 1 if i else stride, expansion, kernel_size, rngs=rngs))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_bn(channels, last, 1, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.fc = nn.Linear(last, num_classes, rngs=rngs)
        init_weights(self, variance_scaling(2.0, "fan_out", "normal"), rngs=rngs)
        init_weights(self.fc, jax.nn.initializers.normal(0.01), rngs=rngs)

    def __call__(self, X: Maps) -> Float[Array, "batch classes"]:
        maps = nnx.relu6(self.head(self.blocks(nnx.relu6(self.stem(X)))))
        return self.fc(self.dropout(maps.mean((1, 2))))
