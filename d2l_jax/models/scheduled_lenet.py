"""LeNet with ReLUs and max pools, which learns under schedules of the rate (book, section 12.11)."""

from flax import nnx

from d2l_jax import nn
from d2l_jax.init import init_cnn


def scheduled_lenet(
    num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (28, 28), *, rngs: nnx.Rngs
) -> nn.Sequential:
    """LeNet with ReLUs and max pools; PyTorch's default initialisation (section 12.11)."""
    features = (
        nn.Conv2d(in_channels, 6, 5, padding=2, rngs=rngs),
        nnx.relu,
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, rngs=rngs),
        nnx.relu,
        nn.MaxPool2d(2),
    )
    height, width = nn.map_size(features, image_size)
    return nn.Sequential(
        *features,
        nn.flatten,
        nn.Linear(16 * height * width, 120, rngs=rngs),
        nnx.relu,
        nn.Linear(120, 84, rngs=rngs),
        nnx.relu,
        nn.Linear(84, num_classes, rngs=rngs),
    )


def scheduled_bn_lenet(
    num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (28, 28), *, rngs: nnx.Rngs
) -> nn.Sequential:
    """LeNet with ReLUs, max pools, batch normalisation and Xavier weights (second edition, section 9.8)."""
    features = (
        nn.Conv2d(in_channels, 6, 5, padding=2, rngs=rngs),
        nn.BatchNorm(6),
        nnx.relu,
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, rngs=rngs),
        nn.BatchNorm(16),
        nnx.relu,
        nn.MaxPool2d(2),
    )
    height, width = nn.map_size(features, image_size)
    net = nn.Sequential(
        *features,
        nn.flatten,
        nn.Linear(16 * height * width, 120, rngs=rngs),
        nn.BatchNorm(120),
        nnx.relu,
        nn.Linear(120, 84, rngs=rngs),
        nn.BatchNorm(84),
        nnx.relu,
        nn.Linear(84, num_classes, rngs=rngs),
    )
    return init_cnn(net, rngs=rngs)
