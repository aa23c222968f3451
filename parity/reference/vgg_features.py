"""The convolutional part of VGG-16 and VGG-19 with torchvision's names (Simonyan and Zisserman 2014)."""

from torch import nn


def vgg_features(
    arch: tuple[tuple[int, int], ...], num_layers: int | None = None, in_channels: int = 3
) -> nn.Sequential:
    """A chain of 3x3 convolutions, each with a ReLU, and pools, numbered as in torchvision's `features`.

    The ReLUs write over their inputs, as torchvision's do.
    """
    layers: list[nn.Module] = []
    for num_convs, channels in arch:
        for _ in range(num_convs):
            layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
            in_channels = channels
        layers.append(nn.MaxPool2d(2, stride=2))
    features = nn.Sequential(*layers[:num_layers])
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return features


def vgg16_features(num_layers: int | None = None, width_mult: float = 1.0) -> nn.Sequential:
    """The `features` of `torchvision.models.vgg16`: 31 layers, 13 of them convolutions; see `vgg_features`."""
    return vgg_features(widened((2, 2, 3, 3, 3), width_mult), num_layers)


def vgg19_features(num_layers: int | None = None, width_mult: float = 1.0) -> nn.Sequential:
    """The `features` of `torchvision.models.vgg19`: 37 layers, 16 of them convolutions (section 14.12)."""
    return vgg_features(widened((2, 2, 4, 4, 4), width_mult), num_layers)


def widened(convolutions: tuple[int, ...], width_mult: float) -> tuple[tuple[int, int], ...]:
    """Returns (convolutions, channels) of each block, with VGG's channels times `width_mult`."""
    return tuple((num_convs, int(c * width_mult)) for num_convs, c in zip(convolutions, (64, 128, 256, 512, 512)))
