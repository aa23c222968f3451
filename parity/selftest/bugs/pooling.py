"""Bugs in pooling and resizing."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from parity.selftest.bug import Bug, become, function, setting
from parity.selftest.layers import Pool
from parity.selftest.pairs import POOLS, RESIZING, TIES
from parity.selftest.pairs.images import resized


class LastMaximum(Pool):
    """The gradient goes to the last of equal maxima."""

    def __call__(self, x: Array) -> Array:
        turned = jnp.flip(x, (1, 2))
        return jnp.flip(super().__call__(turned), (1, 2))


class ZeroPadded(Pool):
    def __call__(self, x: Array) -> Array:
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return nnx.max_pool(padded, (3, 3), (1, 1))


def aligned(height: int, width: int):
    """Bilinear with the corners aligned."""

    def resize(x: Array) -> Array:
        for axis, size in ((1, height), (2, width)):
            at = jnp.linspace(0, x.shape[axis] - 1, size)
            low = jnp.clip(jnp.floor(at).astype(int), 0, x.shape[axis] - 2)
            part = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
            x = x.take(low, axis) * (1 - part) + x.take(low + 1, axis) * part
        return x

    return resize


def nearest(x: Array) -> Array:
    return jax.image.resize(x, (x.shape[0], 10, 8, x.shape[3]), "nearest")


BUGS = (
    Bug("padding not counted in the average", POOLS, "average", ("count-include-pad",),
        setting("average", count_include_pad=False)),
    Bug("average for the maximum", POOLS, "max", ("average-for-max",), setting("max", kind="average")),
    Bug("maximum padded with zeros", POOLS, "max", ("zero-padding",), become("max", ZeroPadded)),
    Bug("size rounded down, not up", POOLS, "ceil", ("ceil-mode",), setting("ceil", ceil_mode=False)),
    Bug("gradient to the last of equal maxima", TIES, "max", ("tie-rule", "reordered"), become("max", LastMaximum)),
    Bug("corners aligned", RESIZING, "up", ("align-corners",), function("up", aligned(10, 8))),
    Bug("nearest for bilinear", RESIZING, "up", ("resize-mode",), function("up", nearest)),
    Bug("antialias, JAX's default", RESIZING, "down", ("antialias",), function("down", resized(4, 3, True))),
)  # fmt: skip
