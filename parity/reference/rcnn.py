"""The head of a Fast R-CNN: the class and the box of every proposed region (Girshick 2015; book, section 14.8)."""

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import roi_pool

Maps = Float[Tensor, "batch channels height width"]
Predictions = tuple[Float[Tensor, "regions classes"], Float[Tensor, "regions 4"]]


class FastRCNNHead(nn.Module):
    """A region's features are pooled to one size; dense layers tell its class and its offsets (section 14.8)."""

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 512,
        output_size: tuple[int, int] = (7, 7),
        spatial_scale: float = 0.0625,
        num_hiddens: int = 4096,
    ):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        height, width = output_size
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_channels * height * width, num_hiddens),
            nn.ReLU(),
            nn.Linear(num_hiddens, num_hiddens),
            nn.ReLU(),
        )
        self.cls = nn.Linear(num_hiddens, num_classes + 1)
        self.bbox = nn.Linear(num_hiddens, 4)

    def forward(self, X: Maps, rois: Float[Tensor, "regions 5"]) -> Predictions:
        """Returns the scores of background and classes, and four offsets, of each region."""
        hidden = self.net(roi_pool(X, rois.detach(), self.output_size, self.spatial_scale))
        return self.cls(hidden), self.bbox(hidden)
