"""VGG (Simonyan and Zisserman 2014; book, section 8.2)."""

from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_cnn


def vgg_block(num_convs: int, out_channels: int, in_channels: int, *, rngs: nnx.Rngs) -> nn.Sequential:
    """A chain of `num_convs` 3x3 convolutions and a pool that halves height and width (book, section 8.2)."""
    layers = []
    for _ in range(num_convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1, rngs=rngs), nnx.relu]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2, stride=2))


class VGG(nnx.Module):
    """VGG: a block per (num_convs, out_channels) of `arch`, then three dense layers (book, section 8.2)."""

    def __init__(
        self,
        arch: tuple[tuple[int, int], ...],
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (224, 224),
        num_hiddens: int = 4096,
        *,
        rngs: nnx.Rngs,
    ):
        blocks = []
        for num_convs, out_channels in arch:
            blocks.append(vgg_block(num_convs, out_channels, in_channels, rngs=rngs))
            in_channels = out_channels
        height, width = nn.map_size(blocks, image_size)
        self.net = nn.Sequential(
            *blocks,
            nn.flatten,
            nn.Linear(in_channels * height * width, num_hiddens, rngs=rngs),
            nnx.relu,
            nnx.Dropout(0.5, rngs=rngs),
            nn.Linear(num_hiddens, num_hiddens, rngs=rngs),
            nnx.relu,
            nnx.Dropout(0.5, rngs=rngs),
            nn.Linear(num_hiddens, num_classes, rngs=rngs),
        )
        init_cnn(self, rngs=rngs)

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.net(X)
