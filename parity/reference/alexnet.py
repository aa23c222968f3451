"""AlexNet (Krizhevsky et al. 2012; book, section 8.1)."""

from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.init import init_cnn
from parity.reference.sizes import map_size

WIDTHS = (96, 256, 384, 384, 256, 4096)  # of the five convolutions, and of the hidden layers


class AlexNet(nn.Module):
    """AlexNet: five convolutions and three dense layers, with PyTorch's default initialisation (book, section 8.1).

    `width_mult` scales all widths; `corrected` starts from the Xavier weights that the book's constructor asks for.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (224, 224),
        width_mult: float = 1.0,
        corrected: bool = False,
    ):
        super().__init__()
        c1, c2, c3, c4, c5, hiddens = (int(width * width_mult) for width in WIDTHS)
        features = (
            nn.Conv2d(in_channels, c1, 11, stride=4, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(c1, c2, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(c2, c3, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c3, c4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c4, c5, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        height, width = map_size(features, image_size)
        self.net = nn.Sequential(
            *features,
            nn.Flatten(),
            nn.Linear(c5 * height * width, hiddens),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hiddens, hiddens),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hiddens, num_classes),
        )
        if corrected:  # the book's Xavier call meets lazy layers and does nothing
            init_cnn(self)

    def forward(self, X: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.net(X)
