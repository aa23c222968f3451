"""A new head upon a whole network that stays as it is (book, section 14.14)."""

from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.torchvision_resnet import TorchvisionResNet


class DogBreeds(nn.Module):
    """ResNet-34 as `features`, its 1000-way layer included, and a head `output_new` of two layers (section 14.14).

    The book never leaves training mode. With `corrected`, the frozen features are always in evaluation mode.
    """

    def __init__(
        self,
        num_classes: int = 120,
        num_hiddens: int = 256,
        layers: tuple[int, int, int, int] = (3, 4, 6, 3),
        num_features: int = 1000,
        width_mult: float = 1.0,
        corrected: bool = False,
    ):
        super().__init__()
        self.features = TorchvisionResNet(layers, num_features, width_mult)
        self.output_new = nn.Sequential(
            nn.Linear(num_features, num_hiddens), nn.ReLU(), nn.Linear(num_hiddens, num_classes)
        )
        self.corrected = corrected
        self.train()

    def train(self, mode: bool = True) -> "DogBreeds":
        """Sets the mode, but that of the features, which have one."""
        super().train(mode)
        self.features.train(not self.corrected)
        return self

    def forward(self, X: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        return self.output_new(self.features(X))
