"""Batch normalisation from scratch, and LeNet with it (Ioffe and Szegedy 2015; book, section 8.5)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.init import init_cnn
from parity.reference.sizes import map_size


class BatchNormScratch(nn.Module):
    """Batch normalisation over all axes but the second, from scratch (book, section 8.5).

    `num_dims` is 2 behind a dense layer, 4 behind a convolution. The moving variance averages the biased one. The
    attribute `training` chooses between the batch's and the moving statistics; the book asks whether gradients are on.
    """

    moving_mean: Tensor
    moving_var: Tensor

    def __init__(self, num_features: int, num_dims: int):
        super().__init__()
        shape = (1, num_features, *(1,) * (num_dims - 2))
        self.gamma = nn.Parameter(torch.ones(shape))
        self.beta = nn.Parameter(torch.zeros(shape))
        self.register_buffer("moving_mean", torch.zeros(shape))
        self.register_buffer("moving_var", torch.ones(shape))

    def forward(self, X: Float[Tensor, "batch features *size"]) -> Float[Tensor, "batch features *size"]:
        mean = self.moving_mean
        var = self.moving_var
        if self.training:
            axes = (0, *range(2, X.ndim))
            mean = X.mean(axes, keepdim=True)
            var = ((X - mean) ** 2).mean(axes, keepdim=True)
            self.moving_mean.mul_(0.9).add_(0.1 * mean.detach())
            self.moving_var.mul_(0.9).add_(0.1 * var.detach())
        X_hat = (X - mean) / torch.sqrt(var + 1e-5)
        return self.gamma * X_hat + self.beta


def bn_lenet(
    norm: Callable[[int, int], nn.Module], num_classes: int, in_channels: int, image_size: tuple[int, int]
) -> nn.Sequential:
    """LeNet without padding, with a layer `norm(num_features, num_dims)` before every sigmoid (book, section 8.5)."""
    features = (
        nn.Conv2d(in_channels, 6, 5),
        norm(6, 4),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        norm(16, 4),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
    )
    height, width = map_size(features, image_size)
    net = nn.Sequential(
        *features,
        nn.Flatten(),
        nn.Linear(16 * height * width, 120),
        norm(120, 2),
        nn.Sigmoid(),
        nn.Linear(120, 84),
        norm(84, 2),
        nn.Sigmoid(),
        nn.Linear(84, num_classes),
    )
    init_cnn(net)
    return net


class BNLeNetScratch(nn.Module):
    """LeNet with batch normalisation from scratch, `BatchNormScratch` (book, section 8.5)."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (28, 28)):
        super().__init__()
        self.net = bn_lenet(BatchNormScratch, num_classes, in_channels, image_size)

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.net(X)


class BNLeNet(nn.Module):
    """LeNet with the library's batch normalisation (book, section 8.5)."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (28, 28)):
        super().__init__()

        def norm(num_features: int, num_dims: int) -> nn.Module:
            return {2: nn.BatchNorm1d, 4: nn.BatchNorm2d}[num_dims](num_features)

        self.net = bn_lenet(norm, num_classes, in_channels, image_size)

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.net(X)
