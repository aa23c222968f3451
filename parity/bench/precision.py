"""The precisions in which programs are timed."""

from typing import Literal

Precision = Literal["highest", "tf32", "bfloat16"]
# One ulp of each, in ulps of float32.
ULPS: dict[Precision, int] = {"highest": 1, "tf32": 2**13, "bfloat16": 2**16}


def dtype_of(precision: Precision) -> str:
    """Returns the dtype of parameters, images and activations, in both frameworks."""
    return "bfloat16" if precision == "bfloat16" else "float32"
