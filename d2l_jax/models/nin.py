"""Network in network (Lin et al. 2013; book, section 8.3)."""

from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_cnn


def nin_block(
    out_channels: int, kernel_size: int, stride: int, padding: int, in_channels: int, *, rngs: nnx.Rngs
) -> nn.Sequential:
    """A convolution, then two 1x1 convolutions: a small dense network at every pixel (book, section 8.3)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, rngs=rngs),
        nnx.relu,
        nn.Conv2d(out_channels, out_channels, 1, rngs=rngs),
        nnx.relu,
        nn.Conv2d(out_channels, out_channels, 1, rngs=rngs),
        nnx.relu,
    )


class NiN(nnx.Module):
    """Network in network: four blocks and a global average pool; the scores have passed a ReLU (book, section 8.3).

    `width_mult` scales all widths; `corrected` leaves out the last ReLU, so that scores may be negative.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        width_mult: float = 1.0,
        corrected: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        c1, c2, c3 = (int(width * width_mult) for width in (96, 256, 384))
        last = nin_block(num_classes, 3, 1, 1, c3, rngs=rngs)
        self.net = nn.Sequential(
            nin_block(c1, 11, 4, 0, in_channels, rngs=rngs),
            nn.MaxPool2d(3, stride=2),
            nin_block(c2, 5, 1, 2, c1, rngs=rngs),
            nn.MaxPool2d(3, stride=2),
            nin_block(c3, 3, 1, 1, c2, rngs=rngs),
            nn.MaxPool2d(3, stride=2),
            nnx.Dropout(0.5, rngs=rngs),
            nn.Sequential(*list(last)[:-1]) if corrected else last,
            nn.AdaptiveAvgPool2d(1),
            nn.flatten,
        )
        init_cnn(self, rngs=rngs)

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.net(X)
