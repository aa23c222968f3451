"""Softmax regression, from scratch and with a layer (book, sections 4.4 and 4.5)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn


def softmax(X: Float[Array, "batch classes"]) -> Float[Array, "batch classes"]:
    """Softmax as the plain exp(X) / sum(exp(X)), which overflows where a score is large (book, section 4.4)."""
    X_exp = jnp.exp(X)
    return X_exp / X_exp.sum(1, keepdims=True)


class SoftmaxRegressionScratch(nnx.Module):
    """Softmax regression from scratch: probabilities softmax(X W + b), not scores (book, section 4.4)."""

    def __init__(self, num_inputs: int = 784, num_outputs: int = 10, sigma: float = 0.01, *, rngs: nnx.Rngs):
        self.W = nnx.Param(sigma * jax.random.normal(rngs.params(), (num_inputs, num_outputs), jnp.float32))
        self.b = nnx.Param(jnp.zeros(num_outputs, jnp.float32))

    def __call__(self, X: Float[Array, "batch *features"]) -> Float[Array, "batch classes"]:
        return softmax(nn.flatten(X) @ self.W[...] + self.b[None])


class SoftmaxRegression(nnx.Module):
    """Softmax regression: a dense layer on the flattened image, which gives scores (book, section 4.5)."""

    def __init__(self, num_outputs: int = 10, in_features: int = 784, *, rngs: nnx.Rngs):
        self.net = nn.Sequential(nn.flatten, nn.Linear(in_features, num_outputs, rngs=rngs))

    def __call__(self, X: Float[Array, "batch *features"]) -> Float[Array, "batch classes"]:
        return self.net(X)
