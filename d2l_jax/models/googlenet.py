"""GoogLeNet (Szegedy et al. 2015; book, section 8.4)."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_cnn


class Inception(nnx.Module):
    """An inception block: four parallel branches, joined along the channels (book, section 8.4).

    `c1` ... `c4` are the branches' output channels; a pair gives the channels of its 1x1 reduction first.
    """

    def __init__(
        self,
        c1: int,
        c2: tuple[int, int],
        c3: tuple[int, int],
        c4: int,
        in_channels: int = 192,
        *,
        rngs: nnx.Rngs,
    ):
        self.b1_1 = nn.Conv2d(in_channels, c1, 1, rngs=rngs)
        self.b2_1 = nn.Conv2d(in_channels, c2[0], 1, rngs=rngs)
        self.b2_2 = nn.Conv2d(c2[0], c2[1], 3, padding=1, rngs=rngs)
        self.b3_1 = nn.Conv2d(in_channels, c3[0], 1, rngs=rngs)
        self.b3_2 = nn.Conv2d(c3[0], c3[1], 5, padding=2, rngs=rngs)
        self.b4_1 = nn.MaxPool2d(3, stride=1, padding=1)
        self.b4_2 = nn.Conv2d(in_channels, c4, 1, rngs=rngs)

    def __call__(
        self, X: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width out_channels"]:
        b1 = nnx.relu(self.b1_1(X))
        b2 = nnx.relu(self.b2_2(nnx.relu(self.b2_1(X))))
        b3 = nnx.relu(self.b3_2(nnx.relu(self.b3_1(X))))
        b4 = nnx.relu(self.b4_2(self.b4_1(X)))
        return jnp.concatenate((b1, b2, b3, b4), axis=-1)


class GoogleNet(nnx.Module):
    """GoogLeNet: five stages with nine inception blocks, and a dense layer (book, section 8.4).

    `width_mult` scales all channels; a multiple of 1/8 keeps them whole.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, width_mult: float = 1.0, *, rngs: nnx.Rngs):
        def scaled(channels):
            return int(channels * width_mult)

        def inception(in_channels, c1, c2, c3, c4):
            c2 = scaled(c2[0]), scaled(c2[1])
            c3 = scaled(c3[0]), scaled(c3[1])
            return Inception(scaled(c1), c2, c3, scaled(c4), scaled(in_channels), rngs=rngs)

        b1 = nn.Sequential(
            nn.Conv2d(in_channels, scaled(64), 7, stride=2, padding=3, rngs=rngs),
            nnx.relu,
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        b2 = nn.Sequential(
            nn.Conv2d(scaled(64), scaled(64), 1, rngs=rngs),
            nnx.relu,
            nn.Conv2d(scaled(64), scaled(192), 3, padding=1, rngs=rngs),
            nnx.relu,
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        b3 = nn.Sequential(
            inception(192, 64, (96, 128), (16, 32), 32),
            inception(256, 128, (128, 192), (32, 96), 64),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        b4 = nn.Sequential(
            inception(480, 192, (96, 208), (16, 48), 64),
            inception(512, 160, (112, 224), (24, 64), 64),
            inception(512, 128, (128, 256), (24, 64), 64),
            inception(512, 112, (144, 288), (32, 64), 64),
            inception(528, 256, (160, 320), (32, 128), 128),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        b5 = nn.Sequential(
            inception(832, 256, (160, 320), (32, 128), 128),
            inception(832, 384, (192, 384), (48, 128), 128),
            nn.AdaptiveAvgPool2d(1),
            nn.flatten,
        )
        self.net = nn.Sequential(b1, b2, b3, b4, b5, nn.Linear(scaled(1024), num_classes, rngs=rngs))
        init_cnn(self, rngs=rngs)

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.net(X)
