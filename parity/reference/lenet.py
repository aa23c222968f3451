"""LeNet (LeCun et al. 1998; book, section 7.6; notes A5)."""

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
