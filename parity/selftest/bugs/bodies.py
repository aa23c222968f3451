"""Bugs in bodies that do what no layer does."""

# pyright: reportIncompatibleMethodOverride=false
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from parity.selftest.bug import Bug, become
from parity.selftest.pairs import AVERAGED, CAUSAL, CROPPED, GATED, JOINT
from parity.selftest.pairs.bodies import Averaged, Gated, Joint


class OtherGate(Gated):
    def gated(self, gate: Array, up: Array) -> Array:
        return gate * nnx.silu(up)


class ScaledSum(Gated):
    def added(self, x: Array, y: Array, scale: Array) -> Array:
        return scale * (x + y)


class ByHeads(Joint):
    """Query, key and value side by side within each head."""

    def split(self, y: Array) -> Array:
        return jnp.moveaxis(y.reshape(*y.shape[:2], 2, 3, 3), 3, 0)


class OtherTerm(Joint):
    """Adds a part of what it has made of it."""

    def added(self, x: Array, y: Array) -> Array:
        return y + y


class WithPadding(Averaged):
    def mean(self, total: Array, count: Array, length: int) -> Array:
        return total / length


class Transposed(Averaged):
    def matrix(self) -> Array:
        return self.moves[...].T


def padded_same(model: nnx.Module) -> None:
    model.first.padding = model.second.padding = "SAME"  # pyright: ignore[reportAttributeAccessIssue]


BUGS = (
    Bug("SiLU of the other factor", GATED, "", ("gate-exchanged",), become("", OtherGate)),
    Bug("the whole sum scaled", GATED, "", ("scale-over-sum",), become("", ScaledSum)),
    Bug("queries, keys and values by heads", JOINT, "", ("qkv-by-heads",), become("", ByHeads)),
    Bug("another tensor in a residual sum", JOINT, "", ("wiring",), become("", OtherTerm)),
    Bug("'SAME' for causal padding by hand", CAUSAL, "first", ("causal-padding",), padded_same),
    Bug("'SAME' for causal padding by cropping", CROPPED, "first", ("causal-padding",), padded_same),
    Bug("padding counted in a mean", AVERAGED, "", ("padding-counted",), become("", WithPadding)),
    Bug("a matrix of the body's transposed", AVERAGED, "", ("transposed",), become("", Transposed)),
)
