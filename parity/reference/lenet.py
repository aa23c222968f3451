"""LeNet (LeCun et al. 1998; book, sections 7.6 and 13.5; notes A5)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.init import init_cnn
from parity.reference.sizes import map_size


class LeNet(nn.Module):
    """LeNet: two convolutions and three dense layers, with sigmoids and average pools (book, section 7.6)."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (28, 28)):
        super().__init__()
        features = (
            nn.Conv2d(in_channels, 6, 5, padding=2),
            nn.Sigmoid(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.Sigmoid(),
            nn.AvgPool2d(2),
        )
        height, width = map_size(features, image_size)
        self.net = nn.Sequential(
            *features,
            nn.Flatten(),
            nn.Linear(16 * height * width, 120),
            nn.Sigmoid(),
            nn.Linear(120, 84),
            nn.Sigmoid(),
            nn.Linear(84, num_classes),
        )
        init_cnn(self)

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.net(X)


class LeNet5(nn.Module):
    """LeNet with ReLUs, for images of 32x32; PyTorch's default initialisation (notes A5)."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (32, 32)):
        super().__init__()
        features = (
            nn.Conv2d(in_channels, 6, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
        )
        height, width = map_size(features, image_size)
        self.net = nn.Sequential(
            *features,
            nn.Flatten(),
            nn.Linear(16 * height * width, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
        )

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.net(X)


class LeNetScratch(nn.Module):
    """LeNet with ReLUs from scratch: four weights and four biases, and functions of them (book, section 13.5).

    Weights are drawn from N(0, scale), biases start at 0. Those of the dense layers have the shape (inputs, outputs).
    """

    def __init__(
        self, scale: float = 0.01, num_outputs: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (28, 28)
    ):
        super().__init__()
        height, width = (((n - 2) // 2 - 4) // 2 for n in image_size)
        self.W1 = nn.Parameter(scale * torch.randn(20, in_channels, 3, 3))
        self.b1 = nn.Parameter(torch.zeros(20))
        self.W2 = nn.Parameter(scale * torch.randn(50, 20, 5, 5))
        self.b2 = nn.Parameter(torch.zeros(50))
        self.W3 = nn.Parameter(scale * torch.randn(50 * height * width, 128))
        self.b3 = nn.Parameter(torch.zeros(128))
        self.W4 = nn.Parameter(scale * torch.randn(128, num_outputs))
        self.b4 = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        H1 = F.avg_pool2d(torch.relu(F.conv2d(X, self.W1, self.b1)), 2)
        H2 = F.avg_pool2d(torch.relu(F.conv2d(H1, self.W2, self.b2)), 2)
        H3 = torch.relu(H2.flatten(1) @ self.W3 + self.b3)
        return H3 @ self.W4 + self.b4
