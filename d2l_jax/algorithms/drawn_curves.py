"""What the parity check compares of Gaussian processes, on drawn points of a curve."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from d2l_jax.algorithms.gaussian_process import neg_MLL, posterior, prior
from d2l_jax.algorithms.kernels import line_kernel, neural_network_kernel, rbfkernel


@dataclass(frozen=True)
class Priors:
    """An evaluation: the kernels between "X" and "X_new", both meanings of the length scale among them."""

    ls: float = 0.3

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns a matrix for each kernel, and the ends of the band of straight lines."""
        both = tensors["X"], tensors["X_new"]
        lower, upper = prior(line_kernel, tensors["X"]).band()
        return {
            "squared_scale": rbfkernel(*both, self.ls),
            "plain_scale": rbfkernel(*both, self.ls, amplitude=1.7, ls_is="length"),
            "lines": line_kernel(*both),
            "neural_network": neural_network_kernel(*both, bias=0.5, weight=3.0),
            "lower": lower,
            "upper": upper,
        }


@dataclass(frozen=True)
class MarginalLikelihood:
    """An evaluation: the negative log marginal likelihood of "y" at "X", and its gradient."""

    ls: float = 0.4
    noise: float = 0.5

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns {"loss": scalar, "ls": scalar, "noise": scalar}; the last two are derivatives in them."""
        X, y = tensors["X"], tensors["y"]

        def loss(ls: Array, noise: Array) -> Array:
            return neg_MLL(partial(rbfkernel, ls=ls), X, y, noise)

        at = jnp.asarray(self.ls, X.dtype), jnp.asarray(self.noise, X.dtype)
        value, (ls, noise) = jax.value_and_grad(loss, argnums=(0, 1))(*at)
        return {"loss": value, "ls": ls, "noise": noise}


@dataclass(frozen=True)
class Posterior:
    """An evaluation: what is known at "X_new" when "y" was seen at "X"."""

    ls: float = 0.3
    noise: float = 0.25

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns mean and covariance, the ends of both bands, and the functions that the numbers "z" stand for."""
        known = posterior(partial(rbfkernel, ls=self.ls), tensors["X"], tensors["y"], tensors["X_new"], self.noise)
        lower, upper = known.band()
        observed_lower, observed_upper = known.band(self.noise)
        return known._asdict() | {
            "lower": lower,
            "upper": upper,
            "observed_lower": observed_lower,
            "observed_upper": observed_upper,
            "samples": known.from_normal(tensors["z"]),
        }


def curve(x: np.ndarray) -> np.ndarray:
    """Returns sin x + 0.5 sin 4x, the function of section 18.3."""
    return np.sin(x) + 0.5 * np.sin(4 * x)


def draw_curve(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws 23 places "X" of [0, 5] with noisy values "y" of the curve, 7 places "X_new", and normal numbers "z".

    "z" are those of 3 functions at "X_new"; all is float32.
    """
    X = np.sort(random.uniform(0, 5, 23))
    y = curve(X) + 0.25 * random.normal(size=23)
    X_new = np.linspace(0, 5, 7) + random.uniform(-0.1, 0.1, 7)
    drawn = {"X": X, "y": y, "X_new": X_new, "z": random.normal(size=(3, 7))}
    return {name: array.astype(np.float32) for name, array in drawn.items()}
