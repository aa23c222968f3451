"""Initialisers whose width follows from the fans: Xavier (book, section 5.4) and Kaiming."""

import math
from typing import Literal

from jax.nn.initializers import Initializer, variance_scaling

from d2l_jax.errors import one_of

Mode = Literal["fan_in", "fan_out"]

GAINS = dict.fromkeys(["linear", "sigmoid"], 1.0) | {
    f"conv{transpose}{axes}d": 1.0 for transpose in ("", "_transpose") for axes in (1, 2, 3)
}
GAINS |= {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights are enlarged, as `nonlinearity` shrinks its outputs.

    param: the negative slope of "leaky_relu", default 0.01; other nonlinearities do not read it
    Raises: InputError for an unknown nonlinearity, ValueError if the slope is no number.
    """
    if nonlinearity != "leaky_relu":
        if nonlinearity not in GAINS:
            raise one_of("nonlinearity", nonlinearity, [*GAINS, "leaky_relu"])
        return GAINS[nonlinearity]
    slope = 0.01 if param is None else param
    if isinstance(slope, bool) or not isinstance(slope, int | float):
        raise ValueError(f"the negative slope of leaky_relu must be a number, got {param!r}")
    return math.sqrt(2 / (1 + slope**2))


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """An initialiser from U(-r, r), r = gain * sqrt(6 / (fan_in + fan_out)) (Xavier; book, section 5.4).

    Raises, when called: ValueError for a shape of less than 2 axes.
    """
    return variance_scaling(gain**2, "fan_avg", "uniform")


def xavier_normal(gain: float = 1.0) -> Initializer:
    """An initialiser from N(0, gain**2 * 2 / (fan_in + fan_out)) (Glorot and Bengio 2010; book, section 5.4).

    Raises, when called: ValueError for a shape of less than 2 axes.
    """
    return variance_scaling(gain**2, "fan_avg", "normal")


def kaiming_uniform(a: float = 0.0, mode: Mode = "fan_in", nonlinearity: str = "leaky_relu") -> Initializer:
    """An initialiser from U(-r, r), r = gain * sqrt(3 / fan) (He et al. 2015).

    a: the negative slope of "leaky_relu"
    Raises: InputError for an unknown mode or nonlinearity; when called, ValueError for a shape of less than 2 axes.
    """
    return variance_scaling(calculate_gain(nonlinearity, a) ** 2, _fan(mode), "uniform")


def kaiming_normal(a: float = 0.0, mode: Mode = "fan_in", nonlinearity: str = "leaky_relu") -> Initializer:
    """An initialiser from N(0, gain**2 / fan), not truncated (He et al. 2015).

    a: the negative slope of "leaky_relu"
    Raises: InputError for an unknown mode or nonlinearity; when called, ValueError for a shape of less than 2 axes.
    """
    return variance_scaling(calculate_gain(nonlinearity, a) ** 2, _fan(mode), "normal")


def _fan(mode: str) -> Mode:
    if mode not in ("fan_in", "fan_out"):
        raise one_of("mode", mode, ["fan_in", "fan_out"])
    return mode
