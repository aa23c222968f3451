"""Images of a class that is asked for: the backbone with labels (second edition, conditional GANs)."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.models.gan_backbone import (
    SIDE,
    conv,
    convs,
    draw_fresh,
    grown,
    latent_maps,
    learned_map,
    shrunk,
    spread,
    start,
)

Labels = Int[Array, " batch"]


class ConditionalGenerator(nnx.Module):
    """Makes images (batch, 32, 32, 3) of latent numbers and classes: `Generator` with three stages (section 20.2).

    Each class has a vector of `embed_dim` numbers, from N(0, 1), which stands in every pixel of the first map.
    """

    weight_rule = {"const": ("const", "channels_first")}

    def __init__(
        self,
        latent_dim: int = 100,
        embed_dim: int = 64,
        const_ch: int = 128,
        base_ch: int = 256,
        num_classes: int = 10,
        *,
        rngs: nnx.Rngs,
    ):
        self.const = learned_map(const_ch, rngs)
        self.z_proj = nn.Linear(latent_dim, latent_dim * SIDE**2, rngs=rngs)
        self.embed = nn.Embedding(num_classes, embed_dim, rngs=rngs)
        self.mix = conv(const_ch + latent_dim + embed_dim, base_ch, rngs)
        self.stages = nnx.List(convs([base_ch // 2**i for i in range(4)], rngs))
        self.to_rgb = conv(base_ch // 8, 3, rngs)
        start(self, rngs)

    def __call__(self, z: Float[Array, "batch latent_dim"], y: Labels) -> Float[Array, "batch 32 32 3"]:
        of_class = spread(self.embed(y)[:, None, None], len(z))
        return grown(self, spread(self.const[...], len(z)), latent_maps(self.z_proj, z), of_class)


class ProjectionDiscriminator(nnx.Module):
    """Scores (batch,) whether images (batch, 32, 32, 3) are real ones of their classes (Miyato and Koyama 2018).

    The score of an image's features, summed over the pixels, is their product with the vector of the class, from
    N(0, 1), plus what a dense layer says of them whatever the class (section 20.2).
    """

    def __init__(self, base_ch: int = 64, num_classes: int = 10, *, rngs: nnx.Rngs):
        self.stages = nnx.List(convs([3, *(base_ch * 2**i for i in range(3))], rngs))
        self.mix = conv(base_ch * 4, base_ch * 8, rngs)
        self.psi = nn.Linear(base_ch * 8, 1, rngs=rngs)
        self.embed = nn.Embedding(num_classes, base_ch * 8, rngs=rngs)
        start(self, rngs)

    def __call__(self, X: Float[Array, "batch 32 32 3"], y: Labels) -> Float[Array, " batch"]:
        phi = jnp.sum(shrunk(self, X), axis=(1, 2))
        return self.psi(phi).squeeze(-1) + jnp.sum(self.embed(y) * phi, axis=-1)


def draw_of_classes(random: np.random.Generator, num_classes: int = 7) -> dict[str, np.ndarray]:
    """Draws 3 images 32x32 as "X", latent numbers as "Z" and classes as "y"; "X_G", "Z_G" and "y_G" are others."""
    labels = {"y" + end: random.integers(0, num_classes, size=3, dtype=np.int32) for end in ("", "_G")}
    return draw_fresh(random, side=32) | labels
