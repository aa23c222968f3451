"""Limits: how close is close enough."""

from collections.abc import Mapping
from dataclasses import dataclass

from parity.arrays.key import Key, Record

UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-9}


@dataclass(frozen=True)
class Policy:
    """Limits: how close is close enough.

    noise_factor: the float64 gap may be this many times the measured noise
    ceiling:      a float64 threshold above this is not granted: the case is ill-conditioned
    ratio:        Flax's float32 error may be this many times PyTorch's ...
    blunt:        a float32 limit above this can tell little, and is counted in the summary
    sums:         ... and this many times the rounding of the longest sum: PyTorch adds some of its float32
                  sums in double precision (batch norm), XLA none
    """

    noise_factor: float = 16.0
    ceiling: float = 1e-9
    ratio: float = 3.0
    blunt: float = 1e-2
    sums: float = 8.0


POLICY = Policy()
NOTHING: Mapping[Key, float] = {}
NO_SPREAD: Record = {}
VISIBLE = 1e-5  # an update whose parameter's last digit is more than this part of it tells too little
BLUNT = "PyTorch's own rounding hides all but gross errors here: "
BY_COMPILER = "the compiler, not the port: the same operations one by one are right; "
