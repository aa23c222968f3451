"""Batch normalisation with PyTorch's running statistics."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

Features = Float[Array, " features"]
Batch = Float[Array, "*size features"]


class BatchNorm(nnx.Module):
    """Batch normalisation of the last axis (Ioffe and Szegedy 2015; book, section 8.5).

    `nnx.BatchNorm` averages the biased variance; PyTorch normalises with the biased one and
    averages the unbiased one, and its `momentum` is the weight of the new value.

    Shapes: (batch, features) or (batch, height, width, features), unchanged.
    Raises ValueError when training on one value per feature, as PyTorch does.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1):
        self.scale = nnx.Param(jnp.ones(num_features, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(num_features, jnp.float32))
        self.mean = nnx.BatchStat(jnp.zeros(num_features, jnp.float32))
        self.var = nnx.BatchStat(jnp.ones(num_features, jnp.float32))
        self.num_batches_tracked = nnx.BatchStat(jnp.zeros((), jnp.int32))
        self.eps = eps
        self.momentum = momentum
        self.use_running_average = False

    def __call__(self, x: Float[Array, "batch *size features"]) -> Float[Array, "batch *size features"]:
        mean, var = (self.mean[...], self.var[...]) if self.use_running_average else self._observe(x)
        return normalised(x, mean, var, self.scale[...], self.bias[...], self.eps)

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`, `train()` and `eval()`."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def _observe(self, x: Float[Array, "*size features"]) -> tuple[Array, Array]:
        count = x.size // x.shape[-1]
        if count < 2:
            raise ValueError(f"BatchNorm needs more than one value per feature to train; got shape {x.shape}")
        mean, var = moments(x)
        self.mean[...] = self._average(self.mean[...], mean)
        self.var[...] = self._average(self.var[...], var * (count / (count - 1)))
        self.num_batches_tracked[...] += 1
        return mean, var

    def _average(self, old: Float[Array, " features"], new: Float[Array, " features"]) -> Array:
        return (1 - self.momentum) * old + self.momentum * lax.stop_gradient(new)


@jax.custom_vjp
def moments(x: Batch) -> tuple[Features, Features]:
    """Mean and biased variance over all axes but the last.

    Its gradient is written out because that of `jnp.var` sums what is zero.
    """
    axes = tuple(range(x.ndim - 1))
    return jnp.mean(x, axes), jnp.var(x, axes)


def _moments_forward(x: Batch) -> tuple[tuple[Features, Features], tuple[Batch, Features]]:
    mean, var = moments(x)
    return (mean, var), (x, mean)


def _moments_backward(kept: tuple[Batch, Features], grads: tuple[Features, Features]) -> tuple[Batch]:
    x, mean = kept
    count = x.size // x.shape[-1]
    return (grads[0] / count + (x - mean) * (2 * grads[1] / count),)


moments.defvjp(_moments_forward, _moments_backward)


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def normalised(x: Batch, mean: Features, var: Features, scale: Features, bias: Features, eps: float) -> Batch:
    """(x - mean) / sqrt(var + eps) * scale + bias; its gradient needs two sums, where the automatic one takes three."""
    return (x - mean) * (lax.rsqrt(var + eps) * scale) + bias


def _normalised_forward(
    x: Batch, mean: Features, var: Features, scale: Features, bias: Features, eps: float
) -> tuple[Batch, tuple[Batch, Features, Features, Features]]:
    return normalised(x, mean, var, scale, bias, eps), (x, mean, var, scale)


def _normalised_backward(
    eps: float, kept: tuple[Batch, Features, Features, Features], g: Batch
) -> tuple[Batch, Features, Features, Features, Features]:
    x, mean, var, scale = kept
    axes, inverse = tuple(range(x.ndim - 1)), lax.rsqrt(var + eps)
    total, along = jnp.sum(g, axes), jnp.sum(g * (x - mean), axes)
    of_var = -0.5 * along * scale * inverse**3
    return g * (inverse * scale), -total * inverse * scale, of_var, along * inverse, total


normalised.defvjp(_normalised_forward, _normalised_backward)
