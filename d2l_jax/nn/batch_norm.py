"""Batch normalisation with PyTorch's running statistics."""

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float


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
        return (x - mean) * (lax.rsqrt(var + self.eps) * self.scale[...]) + self.bias[...]

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`, `train()` and `eval()`."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def _observe(self, x: Float[Array, "*size features"]) -> tuple[Array, Array]:
        count = x.size // x.shape[-1]
        if count < 2:
            raise ValueError(f"BatchNorm needs more than one value per feature to train; got shape {x.shape}")
        axes = tuple(range(x.ndim - 1))
        mean, var = jnp.mean(x, axes), jnp.var(x, axes)
        self.mean[...] = self._average(self.mean[...], mean)
        self.var[...] = self._average(self.var[...], var * (count / (count - 1)))
        self.num_batches_tracked[...] += 1
        return mean, var

    def _average(self, old: Float[Array, " features"], new: Float[Array, " features"]) -> Array:
        return (1 - self.momentum) * old + self.momentum * lax.stop_gradient(new)
