"""A pair of nets without normalisation that make and judge images (second edition, DCGAN's section)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_weights, normal, zero_biases

Images = Float[Array, "_ _ _ _"]  # (batch, height, width, channels): what comes out has other sizes than what goes in
SIDE = 4  # of the smallest map
STD = 0.02


class Generator(nnx.Module):
    """Makes images (batch, 64, 64, 3) of latent numbers (batch, latent_dim): a learned map that grows (section 20.2).

    The values are not bounded. `base_ch`, the channels of the first map, is halved by each of four stages.
    """

    weight_rule = {"const": ("const", "channels_first")}

    def __init__(self, latent_dim: int = 100, const_ch: int = 128, base_ch: int = 512, *, rngs: nnx.Rngs):
        self.const = learned_map(const_ch, rngs)
        self.z_proj = nn.Linear(latent_dim, latent_dim * SIDE**2, rngs=rngs)
        self.mix = conv(const_ch + latent_dim, base_ch, rngs)
        self.stages = nnx.List(convs([base_ch // 2**i for i in range(5)], rngs))
        self.to_rgb = conv(base_ch // 16, 3, rngs)
        start(self, rngs)

    def __call__(self, z: Float[Array, "batch latent_dim"]) -> Float[Array, "batch 64 64 3"]:
        return grown(self, spread(self.const[...], len(z)), latent_maps(self.z_proj, z))


class Discriminator(nnx.Module):
    """Scores (batch, 1) whether images (batch, 64, 64, 3) are real: four stages halve them (section 20.2).

    `base_ch`, the channels of the first map, is doubled by each further stage.
    """

    def __init__(self, base_ch: int = 32, *, rngs: nnx.Rngs):
        self.stages = nnx.List(convs([3, *(base_ch * 2**i for i in range(4))], rngs))
        self.mix = conv(base_ch * 8, base_ch * 16, rngs)
        self.head = nn.Linear(base_ch * 16 * SIDE**2, 1, rngs=rngs)
        start(self, rngs)

    def __call__(self, X: Float[Array, "batch 64 64 3"]) -> Float[Array, "batch 1"]:
        return self.head(nn.flatten(shrunk(self, X)))


def doubled(X: Images) -> Images:
    """Twice the height and width, bilinearly, with the centres of pixels at halves (PyTorch's `interpolate`)."""
    return _scaled(X, 2.0)


def halved(X: Images) -> Images:
    """Half the height and width, rounded down, bilinearly and smoothed, as `interpolate(antialias=True)` does it."""
    return _scaled(X, 0.5)


def _scaled(X: Images, scale: float) -> Images:
    batch, height, width, channels = X.shape
    shape = batch, int(height * scale), int(width * scale), channels
    # Not `jax.image.resize`: of an odd side, its scale is the quotient of the two sizes, PyTorch's is 1/2.
    scales = jnp.full(2, scale, X.dtype)
    return jax.image.scale_and_translate(X, shape, (1, 2), scales, jnp.zeros_like(scales), "linear", antialias=True)


def learned_map(channels: int, rngs: nnx.Rngs) -> nnx.Param:
    """Returns the map (1, 4, 4, channels) that all images begin with, from N(0, 0.02^2)."""
    return nnx.Param(normal(std=STD)(rngs.params(), (1, SIDE, SIDE, channels), jnp.float32))


def conv(in_channels: int, out_channels: int, rngs: nnx.Rngs) -> nn.Conv2d:
    """Returns a 3x3 convolution that keeps the size."""
    return nn.Conv2d(in_channels, out_channels, 3, 1, 1, rngs=rngs)


def convs(channels: list[int], rngs: nnx.Rngs) -> list[nn.Conv2d]:
    """Returns convolutions that lead from each number of channels to the next."""
    return [conv(*pair, rngs) for pair in zip(channels, channels[1:])]


def start(net: nnx.Module, rngs: nnx.Rngs) -> None:
    """Draws the weights of dense layers and convolutions from N(0, 0.02^2) and sets their biases to 0, in place."""
    zero_biases(init_weights(net, normal(std=STD), rngs=rngs))


def spread(maps: Images, batch: int) -> Images:
    """The same 4x4 maps for each example of a batch; vectors (batch, 1, 1, channels) in every pixel."""
    return jnp.broadcast_to(maps, (batch, SIDE, SIDE, maps.shape[-1]))


def latent_maps(z_proj: nn.Linear, z: Float[Array, "batch latent_dim"]) -> Float[Array, "batch 4 4 latent_dim"]:
    """Maps of the latent numbers; the dense layer gives one after the other, as PyTorch's channels stand."""
    return z_proj(z).reshape(*z.shape, SIDE, SIDE).transpose(0, 2, 3, 1)


def grown(net: Any, *maps: Images) -> Images:
    """Images of the 4x4 maps beside each other: mixed, doubled in stages and told as colours."""
    X = activation(net.mix(jnp.concatenate(maps, axis=-1)))
    for stage in net.stages:
        X = activation(stage(doubled(X)))
    return net.to_rgb(X)


def shrunk(net: Any, X: Images) -> Images:
    """The features (batch, 4, 4, channels) of images: halved in stages and mixed."""
    for stage in net.stages:
        X = halved(activation(stage(X)))
    return activation(net.mix(X))


def activation(X: Images) -> Images:
    """Leaky ReLU of slope 0.2."""
    return nn.leaky_relu(X, 0.2)


def draw_fresh(random: np.random.Generator, side: int = 64, latent_dim: int = 5) -> dict[str, np.ndarray]:
    """Draws 3 images as "X" and latent numbers as "Z", float32, for the check; "X_G", "Z_G" are others."""
    batch = {}
    for end in ("", "_G"):
        batch["X" + end] = random.uniform(-1, 1, size=(3, side, side, 3)).astype(np.float32)
        batch["Z" + end] = random.normal(size=(3, latent_dim)).astype(np.float32)
    return batch
