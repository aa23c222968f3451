"""AlexNet (Krizhevsky et al. 2012; book, section 8.1)."""

from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.sizes import map_size


class AlexNet(nn.Module):
    """AlexNet: five convolutions and three dense layers, with PyTorch's default initialisation (book, section 8.1)."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (224, 224)):
        super().__init__()
        features = (
            nn.Conv2d(in_channels, 96, 11, stride=4, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(96, 256, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        height, width = map_size(features, image_size)
        self.net = nn.Sequential(
            *features,
            nn.Flatten(),
            nn.Linear(256 * height * width, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, num_classes),
        )
        # The book's Xavier call meets lazy layers and does nothing.

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.net(X)
