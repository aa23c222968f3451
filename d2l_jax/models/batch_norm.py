"""Batch normalisation from scratch, and LeNet with it (Ioffe and Szegedy 2015; book, section 8.5)."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_cnn


class BatchNormScratch(nnx.Module):
    """Batch normalisation over all axes but the last, from scratch (book, section 8.5).

    `num_dims` is 2 behind a dense layer, 4 behind a convolution. The moving variance averages the biased one. The
    attribute `use_running_average` chooses between the batch's and the moving statistics; the book asks whether
    gradients are on.
    """

    # PyTorch has the channels behind the batch.
    weight_rule = {name: (name, "channels_first") for name in ("gamma", "beta", "moving_mean", "moving_var")}

    def __init__(self, num_features: int, num_dims: int):
        shape = (*(1,) * (num_dims - 1), num_features)
        self.gamma = nnx.Param(jnp.ones(shape, jnp.float32))
        self.beta = nnx.Param(jnp.zeros(shape, jnp.float32))
        self.moving_mean = nnx.BatchStat(jnp.zeros(shape, jnp.float32))
        self.moving_var = nnx.BatchStat(jnp.ones(shape, jnp.float32))
        self.use_running_average = False

    def __call__(self, X: Float[Array, "batch *size features"]) -> Float[Array, "batch *size features"]:
        mean = self.moving_mean[...]
        var = self.moving_var[...]
        if not self.use_running_average:
            axes = tuple(range(X.ndim - 1))
            batch_mean = X.mean(axes, keepdims=True)
            batch_var = ((X - batch_mean) ** 2).mean(axes, keepdims=True)
            self.moving_mean.set_value(0.9 * mean + 0.1 * lax.stop_gradient(batch_mean))
            self.moving_var.set_value(0.9 * var + 0.1 * lax.stop_gradient(batch_var))
            mean = batch_mean
            var = batch_var
        X_hat = (X - mean) / jnp.sqrt(var + 1e-5)
        return self.gamma[...] * X_hat + self.beta[...]

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Sets the mode of the module; `nnx.view`, `train()` and `eval()` call it."""
        if use_running_average is not None:
            self.use_running_average = use_running_average


def bn_lenet(
    norm: Callable[[int, int], nnx.Module],
    num_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    *,
    rngs: nnx.Rngs,
) -> nn.Sequential:
    """LeNet without padding, with a layer `norm(num_features, num_dims)` before every sigmoid (book, section 8.5)."""
    features = (
        nn.Conv2d(in_channels, 6, 5, rngs=rngs),
        norm(6, 4),
        nnx.sigmoid,
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5, rngs=rngs),
        norm(16, 4),
        nnx.sigmoid,
        nn.AvgPool2d(2),
    )
    height, width = nn.map_size(features, image_size)
    net = nn.Sequential(
        *features,
        nn.flatten,
        nn.Linear(16 * height * width, 120, rngs=rngs),
        norm(120, 2),
        nnx.sigmoid,
        nn.Linear(120, 84, rngs=rngs),
        norm(84, 2),
        nnx.sigmoid,
        nn.Linear(84, num_classes, rngs=rngs),
    )
    return init_cnn(net, rngs=rngs)


class BNLeNetScratch(nnx.Module):
    """LeNet with batch normalisation from scratch, `BatchNormScratch` (book, section 8.5)."""

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        *,
        rngs: nnx.Rngs,
    ):
        self.net = bn_lenet(BatchNormScratch, num_classes, in_channels, image_size, rngs=rngs)

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.net(X)


class BNLeNet(nnx.Module):
    """LeNet with the library's batch normalisation (book, section 8.5)."""

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        *,
        rngs: nnx.Rngs,
    ):
        def norm(num_features: int, num_dims: int) -> nn.BatchNorm:
            return nn.BatchNorm(num_features)

        self.net = bn_lenet(norm, num_classes, in_channels, image_size, rngs=rngs)

    def __call__(self, X: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        return self.net(X)
