"""Fully convolutional network for segmentation (Long et al. 2015; book, section 14.11)."""

from flax import nnx

from d2l_jax import nn
from d2l_jax.models.torchvision_resnet import TorchvisionResNet, torchvision_resnet18
from d2l_jax.models.transposed_conv import bilinear_kernel

STRIDE = 32  # of the backbone: a pixel of its maps stands for so many of the image


def fcn(
    num_classes: int = 21,
    width_mult: float = 1.0,
    backbone: TorchvisionResNet | None = None,
    *,
    rngs: nnx.Rngs,
) -> nn.Sequential:
    """ResNet-18 without its pool and dense layer, a 1x1 convolution, and a transposed one (section 14.11).

    The transposed convolution enlarges 32 times and starts as bilinear interpolation.

    num_classes: scores of each pixel
    width_mult:  scales the channels of a backbone that is made here
    backbone:    a ResNet-18, as with pretrained weights; its layers become those of the network
    Shapes: (batch, height, width, 3) -> (batch, height, width, num_classes); a size that 32 does not divide is rounded
    up to one that it does.
    """
    net = backbone or torchvision_resnet18(1, width_mult, rngs=rngs)
    stages = [net.layer1, net.layer2, net.layer3, net.layer4]
    channels = net.fc.in_features
    upsampling = nn.ConvTranspose2d(num_classes, num_classes, 2 * STRIDE, stride=STRIDE, padding=STRIDE // 2, rngs=rngs)
    upsampling.kernel[...] = bilinear_kernel(num_classes, num_classes, 2 * STRIDE).transpose(2, 3, 1, 0)
    return nn.Sequential(
        *(net.conv1, net.bn1, nnx.relu, net.maxpool, *stages),
        final_conv=nn.Conv2d(channels, num_classes, 1, rngs=rngs),
        transpose_conv=upsampling,
    )
