"""Batch normalisation with PyTorch's running statistics."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.cpu.sums import moments, sums

Features = Float[Array, " features"]
Activations = Float[Array, "*size features"]


class BatchNorm(nnx.Module):
    """Batch normalisation of the last axis (Ioffe and Szegedy 2015; book, section 8.5).

    `nnx.BatchNorm` averages the biased variance; PyTorch normalises with the biased one and
    averages the unbiased one, and its `momentum` is the weight of the new value.

    Shapes: (batch, features) or (batch, height, width, features), unchanged.
    Raises ValueError when training on one value per feature, as PyTorch does.
    """

    # PyTorch's name of each variable, and how its axes are ordered there.
    weight_rule = {
        "scale": ("weight", "as_is"),
        "mean": ("running_mean", "as_is"),
        "var": ("running_var", "as_is"),
    }

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
        if self.use_running_average:
            row = partial(lax.broadcast_to_rank, rank=x.ndim)
            shifted = x - row(self.mean[...])
            return shifted * row(lax.rsqrt(self.var[...] + self.eps) * self.scale[...]) + row(self.bias[...])
        count = x.size // x.shape[-1]
        if count < 2:
            raise ValueError(f"BatchNorm needs more than one value per feature to train; got shape {x.shape}")
        y, mean, var = normalised(x, self.scale[...], self.bias[...], self.eps)
        self._observe(mean, var, count)
        return y

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Sets the mode, for `nnx.view`, `train()` and `eval()`."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def _observe(self, mean: Features, var: Features, count: int) -> None:
        # `mean[...] = x` would ask a traced x for its sharding, which walks through all that was traced before.
        self.mean.set_value(self._average(self.mean[...], mean))
        self.var.set_value(self._average(self.var[...], var * (count / (count - 1))))
        self.num_batches_tracked.set_value(self.num_batches_tracked[...] + 1)

    def _average(self, old: Float[Array, " features"], new: Float[Array, " features"]) -> Array:
        return (1 - self.momentum) * old + self.momentum * lax.stop_gradient(new)


def _normalised(x: Activations, scale: Features, bias: Features, eps: float) -> tuple[Activations, Features, Features]:
    """(x - mean) / sqrt(var + eps) * scale + bias, and the batch's mean and biased variance over all axes but the last.

    Its gradient is written out: two sums, where the automatic one takes five and adds up what is zero.
    """
    return _forward(x, scale, bias, eps)[0]


def _forward(
    x: Activations, scale: Features, bias: Features, eps: float
) -> tuple[tuple[Activations, Features, Features], tuple[Activations, Features, Features, Features]]:
    mean, var = moments(x)
    inverse = lax.rsqrt(var + eps)
    row = partial(lax.broadcast_to_rank, rank=x.ndim)
    y = (x - row(mean)) * row(inverse * scale) + row(bias)
    return (y.astype(x.dtype), mean.astype(x.dtype), var.astype(x.dtype)), (x, scale, mean, inverse)


def _backward(
    eps: float,
    residuals: tuple[Activations, Features, Features, Features],
    grads: tuple[Activations, Features, Features],
) -> tuple[Activations, Features, Features]:
    x, scale, mean, inverse = residuals
    g, of_mean, of_var = grads
    count = x.size // x.shape[-1]
    row = partial(lax.broadcast_to_rank, rank=x.ndim)
    total, along = sums(g, g * (x - row(mean)))
    slope = (2 * of_var - scale * inverse**3 * along) / count
    shift = (of_mean - scale * inverse * total) / count
    of_x = g * row(scale * inverse) + (x - row(mean)) * row(slope) + row(shift)
    return of_x.astype(x.dtype), (along * inverse).astype(scale.dtype), total.astype(scale.dtype)


normalised = jax.custom_vjp(_normalised, nondiff_argnums=(3,))
normalised.defvjp(_forward, _backward)
