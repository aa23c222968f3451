"""The head of a Fast R-CNN: the class and the box of every proposed region (Girshick 2015; book, section 14.8)."""

from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.algorithms import roi_pool

Maps = Float[Array, "batch height width channels"]
Predictions = tuple[Float[Array, "regions classes"], Float[Array, "regions 4"]]


class FastRCNNHead(nnx.Module):
    """A region's features are pooled to one size; dense layers tell its class and its offsets (section 14.8).

    spatial_scale: side of the feature map over that of the image, in whose pixels the regions are
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 512,
        output_size: tuple[int, int] = (7, 7),
        spatial_scale: float = 0.0625,
        num_hiddens: int = 4096,
        *,
        rngs: nnx.Rngs,
    ):
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        height, width = output_size
        self.net = nn.Sequential(
            nn.flatten,
            nn.Linear(in_channels * height * width, num_hiddens, rngs=rngs),
            nnx.relu,
            nn.Linear(num_hiddens, num_hiddens, rngs=rngs),
            nnx.relu,
        )
        self.cls = nn.Linear(num_hiddens, num_classes + 1, rngs=rngs)
        self.bbox = nn.Linear(num_hiddens, 4, rngs=rngs)

    def __call__(self, X: Maps, rois: Float[Array, "regions 5"]) -> Predictions:
        """Returns the scores of background and classes, and four offsets, of each region.

        rois: (number of the image, left, top, right, bottom)
        """
        hidden = self.net(roi_pool(X, rois, self.output_size, self.spatial_scale))
        return self.cls(hidden), self.bbox(hidden)
