"""Bugs in normalisation."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from d2l_jax import nn
from parity.selftest.bug import Bug, become, setting
from parity.selftest.layers import GroupNorm
from parity.selftest.pairs import CNN, NORMS


class BiasedVariance(nn.BatchNorm):
    """Running statistics of the biased variance, as Flax's own."""

    def _observe(self, mean: Array, var: Array, count: int) -> None:
        self.mean[...] = self._average(self.mean[...], mean)
        self.var[...] = self._average(self.var[...], var)
        self.num_batches_tracked[...] += 1


class Uncounted(nn.BatchNorm):
    def _observe(self, mean: Array, var: Array, count: int) -> None:
        before = self.num_batches_tracked[...]
        super()._observe(mean, var, count)
        self.num_batches_tracked[...] = before


class Twice(nn.BatchNorm):
    """Observes every batch twice, as when the forward pass runs twice."""

    def _observe(self, mean: Array, var: Array, count: int) -> None:
        super()._observe(mean, var, count)
        super()._observe(mean, var, count)


class NoGradient(nn.BatchNorm):
    """The statistics of the batch are constants to the gradient."""

    def __call__(self, x: Array) -> Array:
        if self.use_running_average:
            return super().__call__(x)
        mean, var = jax.lax.stop_gradient(_moments(x))
        self._observe(mean, var, x.size // x.shape[-1])
        return _by(mean, var, self, x)


class AlwaysRunning(nn.BatchNorm):
    """Normalises by the running statistics in training too."""

    def __call__(self, x: Array) -> Array:
        mean = self.mean[...]
        var = self.var[...]
        if not self.use_running_average:
            self._observe(*_moments(x), x.size // x.shape[-1])
        return _by(mean, var, self, x)


class AlwaysBatch(nn.BatchNorm):
    """Normalises by the batch in evaluation too."""

    def __call__(self, x: Array) -> Array:
        if not self.use_running_average:
            return super().__call__(x)
        return _by(*_moments(x), self, x)


def _moments(x: Array) -> tuple[Array, Array]:
    axes = tuple(range(x.ndim - 1))
    return jnp.mean(x, axes), jnp.var(x, axes)


def _by(mean: Array, var: Array, layer: nn.BatchNorm, x: Array) -> Array:
    """x normalised by these statistics, scaled and moved as the layer does."""
    return (x - mean) / jnp.sqrt(var + layer.eps) * layer.scale[...] + layer.bias[...]


class Interleaved(GroupNorm):
    """Channels are dealt to the groups in turn."""

    def split(self, x: Array) -> Array:
        return x.reshape(*x.shape[:3], -1, self.num_groups).swapaxes(-1, -2)

    def join(self, x: Array) -> Array:
        return x.swapaxes(-1, -2).reshape(*x.shape[:3], -1)


class OverBatch(GroupNorm):
    """Statistics of the whole batch."""

    def __call__(self, x: Array) -> Array:
        y = (x - x.mean((0, 1, 2))) / jnp.sqrt(x.var((0, 1, 2)) + self.eps)
        return y * self.weight[...] + self.bias[...]


class EpsOutside(GroupNorm):
    def __call__(self, x: Array) -> Array:
        groups = self.split(x)
        std = groups.std((1, 2, 4), keepdims=True) + self.eps
        y = self.join((groups - groups.mean((1, 2, 4), keepdims=True)) / std)
        return y * self.weight[...] + self.bias[...]


BUGS = (
    Bug("batch norm's eps 1e-3", CNN, "bn", ("eps",), setting("bn", eps=1e-3)),
    Bug("batch norm's eps 1e-6", CNN, "bn", ("eps",), setting("bn", eps=1e-6)),
    Bug("batch norm's momentum turned round", CNN, "bn", ("momentum-complement",), setting("bn", momentum=0.9)),
    Bug("batch norm's momentum is Flax's 0.99", CNN, "bn", ("momentum",), setting("bn", momentum=0.01)),
    Bug("biased running variance", CNN, "bn", ("biased-variance",), become("bn", BiasedVariance)),
    Bug("batches not counted", CNN, "bn", ("count", "statistics-not-updated", "not-counted"), become("bn", Uncounted)),
    Bug("no gradient through the statistics", CNN, "bn",
        ("statistics-constant", "running-statistics", "no-gradient"), become("bn", NoGradient)),
    Bug("statistics updated twice", CNN, "bn", ("statistics-twice", "momentum", "updated-twice"), become("bn", Twice)),
    Bug("running statistics in training", CNN, "bn", ("running-statistics",), become("bn", AlwaysRunning)),
    Bug("batch statistics in evaluation", CNN, "bn", ("batch-statistics", "mode"), become("bn", AlwaysBatch)),
    Bug("group norm's eps is Flax's 1e-6", NORMS, "group", ("eps",), setting("group", eps=1e-6)),
    Bug("group norm's channels interleaved", NORMS, "group", ("group-order",), become("group", Interleaved)),
    Bug("group norm of three groups", NORMS, "group", ("group-count",), setting("group", num_groups=3)),
    Bug("group norm with unbiased variance", NORMS, "group", ("unbiased-variance",), setting("group", ddof=1)),
    Bug("instance norm over the batch", NORMS, "instance", ("batch-norm",), become("instance", OverBatch)),
    Bug("instance norm's eps outside the root", NORMS, "instance", ("eps-outside",), become("instance", EpsOutside)),
)  # fmt: skip
