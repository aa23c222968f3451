"""The exact Gaussian process that the book takes from GPyTorch, under GPyTorch's names (book, section 18.3.5)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.algorithms import gaussian_process
from d2l_jax.algorithms.gaussian_process import Gaussian
from d2l_jax.algorithms.kernels import Covariances, Points, rbfkernel

Scale = Float[Array, "..."]
Tensors = dict[str, Any]
THRESHOLD = 20.0  # above which PyTorch's softplus is the number itself


class Positive(nnx.Module):
    """Makes a number positive by softplus; its bounds are saved and not used."""

    def __init__(self) -> None:
        self.lower_bound = nn.Bound(jnp.asarray(0, jnp.float32))
        self.upper_bound = nn.Bound(jnp.asarray(jnp.inf, jnp.float32))

    def __call__(self, raw: Scale) -> Scale:
        return softplus(raw)


class GreaterThan(nnx.Module):
    """Makes a number greater than a bound: softplus, and the bound added."""

    def __init__(self, lower_bound: float) -> None:
        self.lower_bound = nn.Bound(jnp.asarray(lower_bound, jnp.float32))
        self.upper_bound = nn.Bound(jnp.asarray(jnp.inf, jnp.float32))

    def __call__(self, raw: Scale) -> Scale:
        return softplus(raw) + jax.lax.broadcast_to_rank(self.lower_bound[...], raw.ndim)


class RBFKernel(nnx.Module):
    """exp(-d^2 / (2 l^2)), whose length scale l is learned."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.raw_lengthscale = nnx.Param(jnp.zeros((1, 1), jnp.float32))
        self.raw_lengthscale_constraint = Positive()

    def lengthscale(self) -> Float[Array, "1 1"]:
        """Returns l."""
        return self.raw_lengthscale_constraint(self.raw_lengthscale[...])

    def __call__(self, x1: Points, x2: Points) -> Covariances:
        return rbfkernel(x1, x2, self.lengthscale(), ls_is="length")


class ScaleKernel(nnx.Module):
    """A kernel times a factor that is learned, the variance of the function's values."""

    def __init__(self, base_kernel: RBFKernel, *, rngs: nnx.Rngs):
        self.raw_outputscale = nnx.Param(jnp.zeros((), jnp.float32))
        self.base_kernel = base_kernel
        self.raw_outputscale_constraint = Positive()

    def outputscale(self) -> Float[Array, ""]:
        """Returns the factor."""
        return self.raw_outputscale_constraint(self.raw_outputscale[...])

    def __call__(self, x1: Points, x2: Points) -> Covariances:
        return self.outputscale() * self.base_kernel(x1, x2)


class HomoskedasticNoise(nnx.Module):
    """The variance of the noise, the same at all points and at least 1e-4, which is learned."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.raw_noise = nnx.Param(jnp.zeros(1, jnp.float32))
        self.raw_noise_constraint = GreaterThan(1e-4)

    def __call__(self) -> Float[Array, " 1"]:
        """Returns the variance."""
        return self.raw_noise_constraint(self.raw_noise[...])


class GaussianLikelihood(nnx.Module):
    """From the values of a function to those that are observed: noise is added."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.noise_covar = HomoskedasticNoise(rngs=rngs)

    def __call__(self, values: Gaussian) -> Gaussian:
        noisy = gaussian_process.with_noise(values.covariance, self.noise_covar()[0])
        return Gaussian(values.mean, noisy)


class ExactGPModel(nnx.Module):
    """A Gaussian process of mean 0 with a scaled RBF kernel and Gaussian noise: three numbers are learned.

    The raw numbers start at 0. The model is of any points, where GPyTorch's holds those that it learns from.
    """

    def __init__(self, *, rngs: nnx.Rngs):
        self.likelihood = GaussianLikelihood(rngs=rngs)
        self.covar_module = ScaleKernel(RBFKernel(rngs=rngs), rngs=rngs)

    def __call__(self, X: Points) -> Gaussian:
        """Returns the distribution of the function at `X` before anything is seen, as GPyTorch's does in training."""
        return Gaussian(jnp.zeros(len(X), X.dtype), self.covar_module(X, X))

    def noise(self) -> Float[Array, ""]:
        """Returns the standard deviation of the noise."""
        return jnp.sqrt(self.likelihood.noise_covar()[0])

    def posterior(self, X: Points, y: Float[Array, " seen"], X_new: Points) -> Gaussian:
        """Returns the distribution of the function at `X_new`, `y` seen at `X`, as GPyTorch's does in evaluation.

        Raises InputError as `algorithms.posterior` does.
        """
        return gaussian_process.posterior(self.covar_module, X, y, X_new, self.noise())


def exact_marginal_loss(nets: Any, tensors: Tensors) -> tuple[Array, Tensors]:
    """Returns minus the log marginal likelihood of "y" at "X" over the number of points, as GPyTorch divides it."""
    X, y = tensors["X"], tensors["y"]
    marginal = nets.likelihood(nets(X))
    loss = gaussian_process.neg_log_density(marginal.covariance, y - marginal.mean) / len(y)
    return loss, {"covariance": marginal.covariance}


def predicted(nets: Any, tensors: Tensors) -> Tensors:
    """Returns mean and covariance at "X_new", the ends of the band of observations, and the loss of what was seen."""
    known = nets.posterior(tensors["X"], tensors["y"], tensors["X_new"])
    lower, upper = known.band(nets.noise())
    loss, _ = exact_marginal_loss(nets, tensors)
    return known._asdict() | {"lower": lower, "upper": upper, "loss": loss}


def softplus(raw: Scale) -> Scale:
    """Returns log(1 + exp(raw)), and `raw` itself above 20, as PyTorch does."""
    return jnp.where(raw > THRESHOLD, raw, jax.nn.softplus(raw))
