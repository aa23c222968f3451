"""Bugs of numbers: precision, not-a-number, and differences too small for the usual tolerance."""

# pyright: reportIncompatibleMethodOverride=false, reportOptionalSubscript=false
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from d2l_jax import nn
from parity.selftest.bug import Bug, become
from parity.selftest.pairs import DEEP, MLP


class SinglePrecision(nn.Linear):
    """Rounds its product to float32 even where everything is float64."""

    def __call__(self, x: Array) -> Array:
        return jax.lax.reduce_precision(x @ self.kernel[...], exponent_bits=8, mantissa_bits=23) + self.bias[...]


class Bfloat16(nn.Linear):
    """Rounds to bfloat16 where everything is float32."""

    def __call__(self, x: Array) -> Array:
        y = x @ self.kernel[...]
        return (y.astype(jnp.bfloat16).astype(y.dtype) if y.dtype == jnp.float32 else y) + self.bias[...]


class Tiny(nn.Linear):
    """Adds a little of signs in turn: neither sums nor means show it, nor a tolerance of 1e-6."""

    def __call__(self, x: Array) -> Array:
        y = super().__call__(x)
        return y + 5e-7 * (-1.0) ** np.arange(y.shape[-1])


class NotANumber(nn.Linear):
    """Makes the first value not a number."""

    def __call__(self, x: Array) -> Array:
        y = super().__call__(x)
        return y.at[0, 0].set(jnp.nan)


BUGS = (
    Bug("float32 within float64", DEEP, "layer5", ("float32",), become("layer5", SinglePrecision)),
    Bug("bfloat16 within float32", MLP, "out", ("bfloat16",), become("out", Bfloat16), tiers=("float64", "float32")),
    Bug("5e-7 added and subtracted in turn", MLP, "out", ("bias",), become("out", Tiny)),
    Bug("not a number on one side", MLP, "out", ("not-finite",), become("out", NotANumber)),
)
