"""Fine-tuning of a head on features that stay as they are (book, section 14.2)."""

from jaxtyping import Float
from torch import Tensor, nn


class FrozenFeatures(nn.Module):
    """A small convolutional network with `features` and a head `fc`, as the section cuts ResNet-18 (section 14.2)."""

    def __init__(self, num_channels: int = 16, num_classes: int = 2, in_channels: int = 3):
        super().__init__()
        convolution = nn.Conv2d(in_channels, num_channels, 3, padding=1)
        self.features = nn.Sequential(convolution, nn.BatchNorm2d(num_channels), nn.ReLU())
        self.fc = nn.Linear(num_channels, num_classes)

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.fc(self.features(X).mean(dim=(2, 3)))
