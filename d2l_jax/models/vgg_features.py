"""The convolutional part of VGG-16 and VGG-19 with torchvision's names (Simonyan and Zisserman 2014)."""

import jax.numpy as jnp
from flax import nnx

from d2l_jax import nn
from d2l_jax.init import init_weights, kaiming_normal
from d2l_jax.models.vgg import vgg_block


def vgg_features(
    arch: tuple[tuple[int, int], ...],
    num_layers: int | None = None,
    in_channels: int = 3,
    *,
    rngs: nnx.Rngs,
) -> nn.Sequential:
    """A chain of 3x3 convolutions, each with a ReLU, and pools, numbered as in torchvision's `features`.

    arch:       (convolutions, channels) of each block, which a pool closes
    num_layers: the first layers that are there, ReLUs and pools counted; None is all of them
    Weights are drawn from N(0, 2 / fan_out), biases are zero.
    """
    layers = []
    for num_convs, channels in arch:
        layers += vgg_block(num_convs, channels, in_channels, rngs=rngs)
        in_channels = channels
    features = nn.Sequential(*layers[:num_layers])
    init_weights(features, kaiming_normal(mode="fan_out", nonlinearity="relu"), rngs=rngs)
    for layer in features:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            layer.bias[...] = jnp.zeros_like(layer.bias[...])
    return features


def vgg16_features(num_layers: int | None = None, width_mult: float = 1.0, *, rngs: nnx.Rngs) -> nn.Sequential:
    """The `features` of `torchvision.models.vgg16`: 31 layers, 13 of them convolutions; see `vgg_features`."""
    return vgg_features(widened((2, 2, 3, 3, 3), width_mult), num_layers, rngs=rngs)


def vgg19_features(num_layers: int | None = None, width_mult: float = 1.0, *, rngs: nnx.Rngs) -> nn.Sequential:
    """The `features` of `torchvision.models.vgg19`: 37 layers, 16 of them convolutions (section 14.12)."""
    return vgg_features(widened((2, 2, 4, 4, 4), width_mult), num_layers, rngs=rngs)


def widened(convolutions: tuple[int, ...], width_mult: float) -> tuple[tuple[int, int], ...]:
    """Returns (convolutions, channels) of each block, with VGG's channels times `width_mult`."""
    return tuple((num_convs, int(c * width_mult)) for num_convs, c in zip(convolutions, (64, 128, 256, 512, 512)))
