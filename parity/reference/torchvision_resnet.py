"""ResNet-18 and ResNet-34 with torchvision's names, and the network that section 14.2 fine-tunes (He et al. 2016)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Maps = Float[Tensor, "batch channels height width"]


class BasicBlock(nn.Module):
    """A residual block of two 3x3 convolutions without biases; `downsample` is the shortcut, or None for the input."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Sequential | None = None):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Maps) -> Float[Tensor, "batch channels1 height1 width1"]:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (self.downsample(x) if self.downsample else x))


class TorchvisionResNet(nn.Module):
    """ResNet with the names and the initialisation of torchvision's; `width_mult` scales all channels."""

    def __init__(self, layers: tuple[int, int, int, int], num_classes: int = 1000, width_mult: float = 1.0):
        super().__init__()
        widths = [int(channels * width_mult) for channels in (64, 128, 256, 512)]
        self.conv1 = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = residual_stage(layers[0], widths[0], widths[0], 1)
        self.layer2 = residual_stage(layers[1], widths[0], widths[1], 2)
        self.layer3 = residual_stage(layers[2], widths[1], widths[2], 2)
        self.layer4 = residual_stage(layers[3], widths[2], widths[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(widths[3], num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Maps) -> Float[Tensor, "batch classes"]:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def residual_stage(blocks: int, inplanes: int, planes: int, stride: int) -> nn.Sequential:
    """A stage of `blocks` residual blocks, of which the first has the stride."""
    downsample = None
    if stride != 1 or inplanes != planes:
        downsample = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
    first = BasicBlock(inplanes, planes, stride, downsample)
    return nn.Sequential(first, *(BasicBlock(planes, planes) for _ in range(blocks - 1)))


def torchvision_resnet18(num_classes: int = 1000, width_mult: float = 1.0) -> TorchvisionResNet:
    """ResNet-18 under the names of `torchvision.models.resnet18`: four stages of two blocks."""
    return TorchvisionResNet((2, 2, 2, 2), num_classes, width_mult)


def torchvision_resnet34(num_classes: int = 1000, width_mult: float = 1.0) -> TorchvisionResNet:
    """ResNet-34 under the names of `torchvision.models.resnet34`: stages of 3, 4, 6 and 3 blocks."""
    return TorchvisionResNet((3, 4, 6, 3), num_classes, width_mult)


def finetune_resnet18(num_classes: int = 2, width_mult: float = 1.0) -> TorchvisionResNet:
    """ResNet-18 whose last layer is new, with Xavier-uniform weights: the network that is fine-tuned (section 14.2)."""
    net = torchvision_resnet18(num_classes, width_mult)
    nn.init.xavier_uniform_(net.fc.weight)
    return net
