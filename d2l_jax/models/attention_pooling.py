"""Attention pooling by similarity: Nadaraya-Watson regression (book, section 11.2)."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from d2l_jax.errors import InputError

Distances = Float[Array, "*shape"]
Kernel = Callable[[Distances], Distances]


def gaussian(sigma: float = 1.0) -> Kernel:
    """The Gaussian kernel exp(-u^2 / (2 sigma^2)) (book, section 11.2); InputError unless sigma is above 0."""
    if sigma <= 0:
        raise InputError(f"gaussian: sigma is {sigma}; a width above 0 is right")

    def kernel(u: Distances) -> Distances:
        return jnp.exp(-(u**2) / (2 * sigma**2))

    return kernel


def boxcar(u: Distances) -> Distances:
    """The boxcar kernel: 1 where abs(u) < 1, else 0 (book, section 11.2)."""
    return (jnp.abs(u) < 1).astype(u.dtype)


def constant(u: Distances) -> Distances:
    """The constant kernel: 1 everywhere (book, section 11.2)."""
    return jnp.ones_like(u)


def epanechikov(u: Distances, corrected: bool = False) -> Distances:
    """The triangular kernel max(1 - abs(u), 0), which the book calls Epanechikov's (section 11.2).

    `corrected` takes the kernel of Epanechnikov (1969), 3/4 max(1 - u^2, 0).
    """
    return 0.75 * jnp.maximum(1 - u**2, 0) if corrected else jnp.maximum(1 - jnp.abs(u), 0)


def nadaraya_watson(
    x_train: Float[Array, " train"], y_train: Float[Array, " train"], x_val: Float[Array, " queries"], kernel: Kernel
) -> tuple[Float[Array, " queries"], Float[Array, "train queries"]]:
    """Averages `y_train` for each query with weights from `kernel` (Nadaraya, Watson 1964; book, section 11.2).

    Returns the estimates (queries,) and the attention weights (train, queries); both are NaN for a query at which the
    kernel is 0 for every training point. Raises InputError unless `x_train` and `y_train` are equally long.
    """
    if x_train.shape != y_train.shape:
        raise InputError(f"nadaraya_watson: {x_train.size} inputs for {y_train.size} targets; one for each is right")
    similarities = kernel(x_train[:, None] - x_val[None, :])
    weights = similarities / similarities.sum(axis=0, keepdims=True)
    return y_train @ weights, weights
