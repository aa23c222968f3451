"""Bugs in how often a layer is used, how far a step goes, and which of two layers stands where."""

from jaxtyping import Array

from parity.selftest.bug import Bug, become
from parity.selftest.pairs import CROSSED, FLOW
from parity.selftest.pairs.flows import STEPS, Crossed, Flow


class ToTheEnd(Flow):
    """As many steps as `linspace` makes points."""

    step = 1 / (STEPS - 1)


class Exchanged(Crossed):
    def placed(self, query: Array, key: Array) -> tuple[Array, Array]:
        return key, query


BUGS = (
    Bug("a step to the end of the time", FLOW, "", ("constant",), become("", ToTheEnd)),
    Bug("queries in the place of keys", CROSSED, "", ("layers-exchanged",), become("", Exchanged)),
)
