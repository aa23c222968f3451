"""Fully convolutional network for segmentation (Long et al. 2015; book, section 14.11)."""

import torch
from torch import nn

from parity.reference.torchvision_resnet import TorchvisionResNet, torchvision_resnet18
from parity.reference.transposed_conv import bilinear_kernel

STRIDE = 32  # of the backbone: a pixel of its maps stands for so many of the image


def fcn(num_classes: int = 21, width_mult: float = 1.0, backbone: TorchvisionResNet | None = None) -> nn.Sequential:
    """ResNet-18 without its pool and dense layer, a 1x1 convolution, and a transposed one (section 14.11).

    The transposed convolution enlarges 32 times and starts as bilinear interpolation. A `backbone` may be
    torchvision's own.
    """
    resnet = backbone or torchvision_resnet18(1, width_mult)
    stages = [resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4]
    channels = resnet.fc.in_features
    net = nn.Sequential(resnet.conv1, resnet.bn1, nn.ReLU(), resnet.maxpool, *stages)
    net.add_module("final_conv", nn.Conv2d(channels, num_classes, 1))
    upsampling = nn.ConvTranspose2d(num_classes, num_classes, 2 * STRIDE, stride=STRIDE, padding=STRIDE // 2)
    with torch.no_grad():
        upsampling.weight.copy_(bilinear_kernel(num_classes, num_classes, 2 * STRIDE))
    net.add_module("transpose_conv", upsampling)
    return net
