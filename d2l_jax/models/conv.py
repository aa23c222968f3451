"""Cross-correlation, channels and pooling as formulas (book, sections 7.2, 7.4 and 7.5).

Images have no batch axis; channels, where there are any, come first, as in the book.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn

Image = Float[Array, "height width"]
Image1 = Float[Array, "height1 width1"]


def windows(X: Image, size: tuple[int, ...]) -> Float[Array, "window height1 width1"]:
    """The part of `X` that each element of a window of `size` meets while the window moves over `X`."""
    h, w = size
    height = X.shape[0] - h + 1
    width = X.shape[1] - w + 1
    return jnp.stack([X[i : i + height, j : j + width] for i in range(h) for j in range(w)])


def corr2d(X: Image, K: Float[Array, "kh kw"]) -> Image1:
    """Cross-correlation of an image and a kernel, without padding (book, section 7.2)."""
    return jnp.tensordot(K.reshape(-1), windows(X, K.shape), 1)


def corr2d_multi_in(X: Float[Array, "channels height width"], K: Float[Array, "channels kh kw"]) -> Image1:
    """The sum of the channels' cross-correlations (book, section 7.4)."""
    return jax.vmap(corr2d)(X, K).sum(0)


def corr2d_multi_in_out(
    X: Float[Array, "channels height width"], K: Float[Array, "out channels kh kw"]
) -> Float[Array, "out height1 width1"]:
    """Cross-correlation of all channels with each kernel, which gives an output channel (book, section 7.4)."""
    return jax.vmap(corr2d_multi_in, (None, 0))(X, K)


def pool2d(X: Image, size: tuple[int, int], mode: str = "max") -> Image1:
    """The maximum or the mean ("avg") of each window, which moves by one (book, section 7.5)."""
    reduce = {"max": jnp.max, "avg": jnp.mean}[mode]
    return reduce(windows(X, size), axis=0)


class Conv2D(nnx.Module):
    """A convolutional layer from scratch; weight from U(0, 1), bias 0 (book, section 7.2)."""

    def __init__(self, kernel_size: tuple[int, int], *, rngs: nnx.Rngs):
        self.weight = nnx.Param(jax.random.uniform(rngs.params(), kernel_size, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(1, jnp.float32))

    def __call__(self, X: Image) -> Image1:
        return corr2d(X, self.weight[...]) + self.bias[None]


def edge_detector(kernel_size: tuple[int, int] = (1, 2), *, rngs: nnx.Rngs) -> nn.Conv2d:
    """The layer that learns the kernel [1, -1] from an image and its edges (book, section 7.2)."""
    return nn.Conv2d(1, 1, kernel_size, bias=False, rngs=rngs)
