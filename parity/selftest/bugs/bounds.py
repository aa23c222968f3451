"""Bugs in bounds that random numbers do not reach."""

import jax.numpy as jnp
from jaxtyping import Array

from parity.selftest.bug import Bug, become
from parity.selftest.pairs import POLICY
from parity.selftest.pairs.bounded import LOW, Policy


class Unbounded(Policy):
    def bounded(self, x: Array) -> Array:
        return x


class Nearer(Policy):
    """Bounded from above by another number."""

    def bounded(self, x: Array) -> Array:
        return jnp.clip(x, LOW, 9.0)


BUGS = (
    Bug("bounds left out that no number reaches", POLICY, "", ("bound-missing",), become("", Unbounded)),
    Bug("another bound that no number reaches", POLICY, "", ("bound",), become("", Nearer)),
)
