"""EfficientNet-Lite0 (Tan and Le 2019, without squeeze and excitation), a backbone to fine-tune as in section 14.2."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad, relu6

from parity.reference.mobilenet import divisible

Maps = Float[Tensor, "batch channels height width"]

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


class PadSame(nn.Module):
    """Zeros around images as TensorFlow's "SAME" has them: where their number is odd, one more below and right."""

    def __init__(self, kernel_size: int, stride: int):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride

    def forward(self, X: Maps) -> Float[Tensor, "batch channels height1 width1"]:
        height, width = X.shape[2:]
        return pad(X, (*self._zeros(width), *self._zeros(height)))

    def _zeros(self, size: int) -> tuple[int, int]:
        places = -(-size // self.stride)
        zeros = max((places - 1) * self.stride + self.kernel_size - size, 0)
        return zeros // 2, zeros - zeros // 2


def conv_bn(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Zeros as `PadSame` adds them, a convolution without bias and batch normalisation."""
    return nn.Sequential(
        PadSame(kernel_size, stride),
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels, eps=EPS),
    )


class Block(nn.Module):
    """Expands the channels, convolves within each, and projects them back without an activation."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int, kernel_size: int):
        super().__init__()
        hidden = in_channels * expansion
        self.expand = conv_bn(in_channels, hidden, 1) if expansion != 1 else None
        self.depthwise = conv_bn(hidden, hidden, kernel_size, stride, groups=hidden)
        self.project = conv_bn(hidden, out_channels, 1)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, X: Maps) -> Float[Tensor, "batch channels1 height1 width1"]:
        Y = relu6(self.expand(X)) if self.expand else X
        Y = self.project(relu6(self.depthwise(Y)))
        return X + Y if self.has_shortcut else Y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (not in the book): MobileNet V2's blocks, some with kernels of 5, between two convolutions."""

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2):
        super().__init__()
        channels, last = divisible(32 * width_mult), divisible(1280 * width_mult)
        self.stem = conv_bn(3, channels, 3, 2)
        blocks = []
        for expansion, width, num_blocks, stride, kernel_size in STAGES:
            width = divisible(width * width_mult)
            for i in range(num_blocks):
                blocks.append(Block(channels, width, 1 if i else stride, expansion, kernel_size))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_bn(channels, last, 1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(last, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        nn.init.normal_(self.fc.weight, 0, 0.01)

    def forward(self, X: Maps) -> Float[Tensor, "batch classes"]:
        maps = relu6(self.head(self.blocks(relu6(self.stem(X)))))
        return self.fc(self.dropout(maps.mean((2, 3))))
