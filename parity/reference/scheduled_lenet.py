"""LeNet with ReLUs and max pools, which learns under schedules of the rate (book, section 12.11)."""

from torch import nn

from parity.reference.init import init_cnn
from parity.reference.sizes import map_size


def scheduled_lenet(
    num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (28, 28)
) -> nn.Sequential:
    """LeNet with ReLUs and max pools; PyTorch's default initialisation (section 12.11)."""
    features = (
        nn.Conv2d(in_channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    height, width = map_size(features, image_size)
    return nn.Sequential(
        *features,
        nn.Flatten(),
        nn.Linear(16 * height * width, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, num_classes),
    )


def scheduled_bn_lenet(
    num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (28, 28)
) -> nn.Sequential:
    """LeNet with ReLUs, max pools, batch normalisation and Xavier weights (second edition, section 9.8)."""
    features = (
        nn.Conv2d(in_channels, 6, 5, padding=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    height, width = map_size(features, image_size)
    net = nn.Sequential(
        *features,
        nn.Flatten(),
        nn.Linear(16 * height * width, 120),
        nn.BatchNorm1d(120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.BatchNorm1d(84),
        nn.ReLU(),
        nn.Linear(84, num_classes),
    )
    init_cnn(net)
    return net
