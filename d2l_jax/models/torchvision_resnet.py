"""ResNet-18 and ResNet-34 with torchvision's names, and the network that section 14.2 fine-tunes (He et al. 2016)."""

from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_weights, kaiming_normal, xavier_uniform

Maps = Float[Array, "batch height width channels"]


class BasicBlock(nnx.Module):
    """A residual block of two 3x3 convolutions without biases; `downsample` is the shortcut, or None for the input."""

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Sequential | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, padding=1, bias=False, rngs=rngs)
        self.bn1 = nn.BatchNorm(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False, rngs=rngs)
        self.bn2 = nn.BatchNorm(planes)
        self.downsample = downsample

    def __call__(self, x: Maps) -> Float[Array, "batch height1 width1 channels1"]:
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return nnx.relu(y + (self.downsample(x) if self.downsample else x))


class TorchvisionResNet(nnx.Module):
    """ResNet with the names and the initialisation of torchvision's, so that its state_dict loads by rule.

    layers:     residual blocks in each of the four stages
    width_mult: scales all channels
    Shapes: (batch, height, width, 3) -> (batch, num_classes).
    """

    def __init__(
        self,
        layers: tuple[int, int, int, int],
        num_classes: int = 1000,
        width_mult: float = 1.0,
        *,
        rngs: nnx.Rngs,
    ):
        widths = [int(channels * width_mult) for channels in (64, 128, 256, 512)]
        self.conv1 = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False, rngs=rngs)
        self.bn1 = nn.BatchNorm(widths[0])
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = residual_stage(layers[0], widths[0], widths[0], 1, rngs=rngs)
        self.layer2 = residual_stage(layers[1], widths[0], widths[1], 2, rngs=rngs)
        self.layer3 = residual_stage(layers[2], widths[1], widths[2], 2, rngs=rngs)
        self.layer4 = residual_stage(layers[3], widths[2], widths[3], 2, rngs=rngs)
        init_weights(self, kaiming_normal(mode="fan_out", nonlinearity="relu"), rngs=rngs)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[3], num_classes, rngs=rngs)

    def __call__(self, x: Maps) -> Float[Array, "batch classes"]:
        x = self.maxpool(nnx.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(nn.flatten(self.avgpool(x)))


def residual_stage(blocks: int, inplanes: int, planes: int, stride: int, *, rngs: nnx.Rngs) -> nn.Sequential:
    """A stage of `blocks` residual blocks, of which the first has the stride."""
    downsample = None
    if stride != 1 or inplanes != planes:
        shortcut = nn.Conv2d(inplanes, planes, 1, stride, bias=False, rngs=rngs)
        downsample = nn.Sequential(shortcut, nn.BatchNorm(planes))
    first = BasicBlock(inplanes, planes, stride, downsample, rngs=rngs)
    return nn.Sequential(first, *(BasicBlock(planes, planes, rngs=rngs) for _ in range(blocks - 1)))


def torchvision_resnet18(num_classes: int = 1000, width_mult: float = 1.0, *, rngs: nnx.Rngs) -> TorchvisionResNet:
    """ResNet-18 under the names of `torchvision.models.resnet18`: four stages of two blocks."""
    return TorchvisionResNet((2, 2, 2, 2), num_classes, width_mult, rngs=rngs)


def torchvision_resnet34(num_classes: int = 1000, width_mult: float = 1.0, *, rngs: nnx.Rngs) -> TorchvisionResNet:
    """ResNet-34 under the names of `torchvision.models.resnet34`: stages of 3, 4, 6 and 3 blocks."""
    return TorchvisionResNet((3, 4, 6, 3), num_classes, width_mult, rngs=rngs)


def finetune_resnet18(num_classes: int = 2, width_mult: float = 1.0, *, rngs: nnx.Rngs) -> TorchvisionResNet:
    """ResNet-18 whose last layer is new, with Xavier-uniform weights: the network that is fine-tuned (section 14.2)."""
    net = torchvision_resnet18(num_classes, width_mult, rngs=rngs)
    init_weights(net.fc, xavier_uniform(), rngs=rngs)
    return net
