"""Linear regression, from scratch and with a layer (book, sections 3.4, 3.5, 3.7, 5.7, 12.5)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.init import init_weights, normal


class LinearRegressionScratch(nnx.Module):
    """Linear regression X w + b from scratch, with w from N(0, sigma) and b = 0 (book, section 3.4)."""

    def __init__(self, num_inputs: int, sigma: float = 0.01, *, rngs: nnx.Rngs):
        self.w = nnx.Param(sigma * jax.random.normal(rngs.params(), (num_inputs, 1), jnp.float32))
        self.b = nnx.Param(jnp.zeros(1, jnp.float32))

    def __call__(self, X: Float[Array, "batch num_inputs"]) -> Float[Array, "batch 1"]:
        return X @ self.w[...] + self.b[None]


class WeightDecayScratch(LinearRegressionScratch):
    """Linear regression whose loss has an L2 penalty on w, `losses.l2_penalty` (book, section 3.7)."""


class LinearRegression(nnx.Module):
    """Linear regression: a dense layer with a single output (book, sections 3.5 and 5.7).

    `corrected` starts it from N(0, 0.01) and 0, which in the book never reach the lazy layer.
    """

    def __init__(self, in_features: int = 2, corrected: bool = False, *, rngs: nnx.Rngs):
        self.net = nn.Linear(in_features, 1, rngs=rngs)
        if corrected:
            self.net.kernel[...] = 0.01 * jax.random.normal(rngs.params(), (in_features, 1), jnp.float32)
            self.net.bias = nnx.Param(jnp.zeros(1, jnp.float32))

    def __call__(self, X: Float[Array, "batch in_features"]) -> Float[Array, "batch 1"]:
        return self.net(X)


class WeightDecay(LinearRegression):
    """Linear regression whose optimiser decays the weight and not the bias (book, section 3.7)."""


def airfoil_regression(in_features: int = 5, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Linear regression whose weight starts from N(0, 0.01), and its bias by PyTorch's default (section 12.5)."""
    return init_weights(nn.Sequential(nn.Linear(in_features, 1, rngs=rngs)), normal(std=0.01), rngs=rngs)
