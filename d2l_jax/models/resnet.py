"""ResNet (He et al. 2016) and the ResNeXt block (Xie et al. 2017; book, sections 8.6 and 13.6)."""

from flax import nnx
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_cnn, init_weights, normal, xavier_uniform

Maps = Float[Array, "batch height width channels"]


class Residual(nnx.Module):
    """A residual block: two 3x3 convolutions and a shortcut (book, section 8.6).

    The shortcut is the input itself, or with `use_1x1conv` a 1x1 convolution of it.
    """

    def __init__(
        self,
        num_channels: int,
        use_1x1conv: bool = False,
        strides: int = 1,
        in_channels: int = 3,
        *,
        rngs: nnx.Rngs,
    ):
        self.conv1 = nn.Conv2d(in_channels, num_channels, 3, strides, padding=1, rngs=rngs)
        self.conv2 = nn.Conv2d(num_channels, num_channels, 3, padding=1, rngs=rngs)
        self.conv3 = nn.Conv2d(in_channels, num_channels, 1, strides, rngs=rngs) if use_1x1conv else None
        self.bn1 = nn.BatchNorm(num_channels)
        self.bn2 = nn.BatchNorm(num_channels)

    def __call__(self, X: Maps) -> Float[Array, "batch height1 width1 channels1"]:
        Y = nnx.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return nnx.relu(Y + (self.conv3(X) if self.conv3 else X))


class ResNeXtBlock(nnx.Module):
    """A ResNeXt block: 1x1, grouped 3x3 and 1x1 convolutions, and a shortcut (book, section 8.6).

    The book's `groups` is the number of channels in a group; with `corrected` it is the number of groups.
    """

    def __init__(
        self,
        num_channels: int,
        groups: int,
        bot_mul: float,
        use_1x1conv: bool = False,
        strides: int = 1,
        in_channels: int = 32,
        corrected: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        width = round(num_channels * bot_mul)
        num_groups = groups if corrected else width // groups
        self.conv1 = nn.Conv2d(in_channels, width, 1, rngs=rngs)
        self.conv2 = nn.Conv2d(width, width, 3, strides, padding=1, groups=num_groups, rngs=rngs)
        self.conv3 = nn.Conv2d(width, num_channels, 1, rngs=rngs)
        self.bn1 = nn.BatchNorm(width)
        self.bn2 = nn.BatchNorm(width)
        self.bn3 = nn.BatchNorm(num_channels)
        self.conv4 = nn.Conv2d(in_channels, num_channels, 1, strides, rngs=rngs) if use_1x1conv else None
        self.bn4 = nn.BatchNorm(num_channels) if use_1x1conv else None

    def __call__(self, X: Maps) -> Float[Array, "batch height1 width1 channels1"]:
        Y = nnx.relu(self.bn1(self.conv1(X)))
        Y = nnx.relu(self.bn2(self.conv2(Y)))
        Y = self.bn3(self.conv3(Y))
        return nnx.relu(Y + (self.bn4(self.conv4(X)) if self.conv4 and self.bn4 else X))


class ResNet(nnx.Module):
    """ResNet: a stem, a stage per (num_residuals, num_channels) of `arch`, and a dense layer (book, section 8.6).

    The stem has as many channels as the first stage; every stage but the first halves height and width.
    """

    def __init__(
        self,
        arch: tuple[tuple[int, int], ...],
        num_classes: int = 10,
        in_channels: int = 1,
        *,
        rngs: nnx.Rngs,
    ):
        channels = arch[0][1]
        stem = nn.Sequential(
            nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, rngs=rngs),
            nn.BatchNorm(channels),
            nnx.relu,
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        stages = {}
        for i, (num_residuals, num_channels) in enumerate(arch):
            stages[f"b{i + 2}"] = stage(num_residuals, num_channels, channels, first=i == 0, rngs=rngs)
            channels = num_channels
        last = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.flatten, nn.Linear(channels, num_classes, rngs=rngs))
        self.net = nn.Sequential(stem, **stages, last=last)
        init_cnn(self, rngs=rngs)

    def __call__(self, X: Maps) -> Float[Array, "batch classes"]:
        return self.net(X)


def stage(num_residuals: int, num_channels: int, in_channels: int, first: bool, *, rngs: nnx.Rngs) -> nn.Sequential:
    """A stage of residual blocks; unless it is the `first`, it starts with stride 2 (book, section 8.6)."""
    head = Residual(num_channels, not first, 1 if first else 2, in_channels, rngs=rngs)
    rest = (Residual(num_channels, in_channels=num_channels, rngs=rngs) for _ in range(num_residuals - 1))
    return nn.Sequential(head, *rest)


class ResNet18(ResNet):
    """ResNet-18: four stages of two residual blocks (book, section 8.6).

    `width_mult` scales all channels.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, width_mult: float = 1.0, *, rngs: nnx.Rngs):
        arch = tuple((2, int(channels * width_mult)) for channels in (64, 128, 256, 512))
        super().__init__(arch, num_classes, in_channels, rngs=rngs)


def resnet18(num_classes: int = 10, in_channels: int = 1, width_mult: float = 1.0, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Returns ResNet-18 for small images: its stem keeps the size and has no max pool (book, section 13.6).

    It starts as PyTorch starts its layers. `width_mult` scales all channels.
    Shapes: (batch, height, width, in_channels) -> (batch, num_classes), float32.
    """
    widths = [int(channels * width_mult) for channels in (64, 128, 256, 512)]
    stem = nn.Conv2d(in_channels, widths[0], 3, padding=1, rngs=rngs), nn.BatchNorm(widths[0]), nnx.relu
    before = [widths[0], *widths]
    blocks = {
        f"resnet_block{i + 1}": stage(2, width, before[i], first=i == 0, rngs=rngs) for i, width in enumerate(widths)
    }
    return nn.Sequential(
        *stem,
        **blocks,
        global_avg_pool=nn.AdaptiveAvgPool2d(1),
        fc=nn.Sequential(nn.flatten, nn.Linear(widths[-1], num_classes, rngs=rngs)),
    )


def init_before_first_call(
    net: nn.Sequential, init: Initializer, corrected: bool = False, *, rngs: nnx.Rngs
) -> nn.Sequential:
    """Draws the weights of a `resnet18` again, in place, as an initialiser does that the book calls too early.

    The convolutions of its residual blocks are lazy then and keep their start: the stem's convolution and the dense
    layer alone are drawn (sections 13.6 and 14.1). With `corrected` all are.
    """
    for part in (net,) if corrected else (net[0], net[-1]):
        init_weights(part, init, rngs=rngs)
    return net


def resnet18_multi_gpu(
    num_classes: int = 10,
    in_channels: int = 1,
    width_mult: float = 1.0,
    corrected: bool = False,
    *,
    rngs: nnx.Rngs,
) -> nn.Sequential:
    """Returns `resnet18` as it is trained on several devices, its weights from N(0, 0.01) (book, section 13.6).

    Only the first and the last layer's weights are: the others are lazy at that time; `corrected` draws all of them.
    """
    net = resnet18(num_classes, in_channels, width_mult, rngs=rngs)
    return init_before_first_call(net, normal(0.0, 0.01), corrected, rngs=rngs)


def resnet18_cifar10(
    num_classes: int = 10, in_channels: int = 3, width_mult: float = 1.0, corrected: bool = False, *, rngs: nnx.Rngs
) -> nn.Sequential:
    """Returns `resnet18` as it learns CIFAR-10, its first and last weights Xavier-uniform (book, section 14.1).

    The others are lazy when the book initialises them; `corrected` draws all of them so.
    """
    net = resnet18(num_classes, in_channels, width_mult, rngs=rngs)
    return init_before_first_call(net, xavier_uniform(), corrected, rngs=rngs)
