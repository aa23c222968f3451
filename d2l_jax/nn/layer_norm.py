"""Layer normalisation, whose derivatives are products in place of sums along rows."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.cpu.bias import over_rows_of
from d2l_jax.cpu.sums import row_means, wide

Features = Float[Array, " features"]
Activations = Float[Array, "*rows features"]


class LayerNorm(nnx.Module):
    """Layer normalisation of the last axis (Ba, Kiros and Hinton 2016; book, section 11.7).

    `nnx.LayerNorm` takes E[x^2] - E[x]^2 for the variance, which cancels, adds 1e-6 to it where PyTorch adds 1e-5, and
    its gradient sums along rows one number after the other.

    Shapes: (..., features), unchanged.
    """

    weight_rule = {"scale": ("weight", "as_is")}

    def __init__(self, num_features: int, eps: float = 1e-5):
        self.scale = nnx.Param(jnp.ones(num_features, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(num_features, jnp.float32))
        self.eps = eps

    def __call__(self, x: Activations) -> Activations:
        centred = standardised(wide(x), self.eps) * over_rows_of(wide(self.scale[...]), x)
        return (centred + over_rows_of(wide(self.bias[...]), x)).astype(x.dtype)


def _standardised(x: Activations, eps: float) -> Activations:
    """(x - mean) / sqrt(var + eps), with the mean and the biased variance of each row."""
    return _forward(x, eps)[0]


def _forward(x: Activations, eps: float) -> tuple[Activations, Activations]:
    centred = x - row_means(x)
    inverse = lax.rsqrt(row_means(jnp.square(centred)) + eps)
    return centred * inverse, inverse


standardised = jax.custom_jvp(_standardised, nondiff_argnums=(1,))


@standardised.defjvp
def _derivative(
    eps: float, primals: tuple[Activations], tangents: tuple[Activations]
) -> tuple[Activations, Activations]:
    """Leaves out of the tangent what moves the row's mean and its length: both are fixed."""
    (x,) = primals
    (t,) = tangents
    y, inverse = _forward(x, eps)
    return y, (t - row_means(t) - y * row_means(t * y)) * inverse
