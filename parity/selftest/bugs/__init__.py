"""All planted bugs, by what they are planted in."""

from parity.selftest.bug import Bug
from parity.selftest.bugs import (
    activations,
    bodies,
    bounds,
    convolution,
    dense,
    detectors,
    flows,
    losses,
    norms,
    numbers,
    optimizers,
    pooling,
    sequences,
    written,
)

BUGS: tuple[Bug, ...] = (
    *dense.BUGS,
    *convolution.BUGS,
    *norms.BUGS,
    *activations.BUGS,
    *pooling.BUGS,
    *sequences.BUGS,
    *losses.BUGS,
    *optimizers.BUGS,
    *numbers.BUGS,
    *written.BUGS,
    *detectors.BUGS,
    *bodies.BUGS,
    *bounds.BUGS,
    *flows.BUGS,
)
