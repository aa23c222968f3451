"""A new head upon a whole network that stays as it is (book, section 14.14)."""

from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.models.torchvision_resnet import TorchvisionResNet


class DogBreeds(nnx.Module):
    """ResNet-34 as `features`, its 1000-way layer included, and a head `output_new` of two layers (section 14.14).

    The book never leaves training mode: batch normalisation takes the statistics of the batch and updates its running
    ones, in validation too. With `corrected`, the frozen features use their running statistics, which stay.

    layers:       residual blocks in each stage of the features
    num_features: of the features' last layer
    Shapes: (batch, height, width, 3) -> (batch, num_classes), float32.
    """

    def __init__(
        self,
        num_classes: int = 120,
        num_hiddens: int = 256,
        layers: tuple[int, int, int, int] = (3, 4, 6, 3),
        num_features: int = 1000,
        width_mult: float = 1.0,
        corrected: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        self.features = TorchvisionResNet(layers, num_features, width_mult, rngs=rngs)
        self.output_new = nn.Sequential(
            nn.Linear(num_features, num_hiddens, rngs=rngs),
            nnx.relu,
            nn.Linear(num_hiddens, num_classes, rngs=rngs),
        )
        self.corrected = corrected
        self.set_view()

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Keeps the features in their one mode, whichever is asked for: it is called after their own."""
        for _, layer in nnx.iter_modules(self.features):
            if isinstance(layer, nn.BatchNorm):
                layer.use_running_average = self.corrected

    def __call__(self, X: Float[Array, "batch height width 3"]) -> Float[Array, "batch classes"]:
        return self.output_new(self.features(X))
