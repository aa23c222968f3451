"""VGG (Simonyan and Zisserman 2014; book, section 8.2)."""

from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.init import init_cnn
from parity.reference.sizes import map_size


def vgg_block(num_convs: int, out_channels: int, in_channels: int) -> nn.Sequential:
    """A chain of `num_convs` 3x3 convolutions and a pool that halves height and width (book, section 8.2)."""
    layers = []
    for _ in range(num_convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2, stride=2))


class VGG(nn.Module):
    """VGG: a block per (num_convs, out_channels) of `arch`, then three dense layers (book, section 8.2)."""

    def __init__(
        self,
        arch: tuple[tuple[int, int], ...],
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (224, 224),
        num_hiddens: int = 4096,
    ):
        super().__init__()
        blocks = []
        for num_convs, out_channels in arch:
            blocks.append(vgg_block(num_convs, out_channels, in_channels))
            in_channels = out_channels
        height, width = map_size(blocks, image_size)
        self.net = nn.Sequential(
            *blocks,
            nn.Flatten(),
            nn.Linear(in_channels * height * width, num_hiddens),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(num_hiddens, num_hiddens),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(num_hiddens, num_classes),
        )
        init_cnn(self)

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.net(X)
