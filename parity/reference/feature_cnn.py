"""A small classifier of images whose last hidden layer says what is in them (second edition, DCGAN)."""

from jaxtyping import Float
from torch import Tensor, nn


class FeatureCNN(nn.Module):
    """Three times convolution, batch normalisation, ReLU and pooling; the mean over places are the features."""

    def __init__(self, feature_dim: int = 128, num_classes: int = 10, in_channels: int = 3):
        super().__init__()
        sizes = (in_channels, feature_dim // 4, feature_dim // 2, feature_dim)
        self.blocks = nn.Sequential(*(_block(*pair) for pair in zip(sizes, sizes[1:])))
        self.head = nn.Linear(feature_dim, num_classes)

    def features(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch feature_dim"]:
        """Returns what distances between sets of images are measured on."""
        return self.blocks(X).mean((2, 3))

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.features(X))


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(), nn.MaxPool2d(2))
