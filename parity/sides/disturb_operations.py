"""Measured noise of every operation: each rounds its result otherwise, in the body between the layers, too.

Where a large constant is added and taken away again, `norm(x + 1e4)`, the sum can hold x to its own last digit only,
which no neighbour of x shows.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch._decomp import get_decompositions
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from parity.models.sparse import is_sparse
from parity.sides.disturb import one_ulp
from parity.sides.disturb_layers import Disturb, moved

# What rounds; copies, selections and maxima do not, and where they are equal, they must stay so.
ROUNDING = tuple(
    f"aten::{name}"
    for name in (
        *("add", "sub", "rsub", "mul", "div", "pow", "addcmul", "addcdiv", "lerp", "reciprocal", "sqrt", "rsqrt"),
        *("square", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos"),
        *("atan", "atan2", "sinh", "cosh", "tanh", "erf", "erfc", "sigmoid", "gelu", "silu", "softplus", "elu"),
        *(
            "sum",
            "mean",
            "var",
            "var_mean",
            "std",
            "cumsum",
            "cumprod",
            "prod",
            "logsumexp",
            "norm",
            "linalg_vector_norm",
        ),
        *("dot", "mv", "mm", "bmm", "addmm", "baddbmm", "addmv", "convolution", "_softmax", "_log_softmax"),
    )
)
EXACT = 2.0**20  # beyond which what is not whole may look so
aten = torch.ops.aten
# Made of several sums, each of which rounds: far from zero the mean's last digit is many of the result's.
OPENED = get_decompositions(
    [aten.native_layer_norm, aten.native_layer_norm_backward, aten.native_group_norm, aten.native_group_norm_backward]
    + [aten.native_batch_norm, aten.native_batch_norm_backward]
)


class EveryOperation:
    """Moves the numbers of arrays by an ulp, as `one_ulp`; a run with it rounds every operation otherwise, too."""

    def __init__(self, seed: int):
        self.disturb = one_ulp(seed)

    def __call__(self, array: np.ndarray) -> np.ndarray:
        return self.disturb(array)


class RoundedOtherwise(TorchDispatchMode):
    """Moves the result of every operation that rounds to a neighbour, forward and backward."""

    def __init__(self, disturb: Disturb):
        super().__init__()
        self.disturb = disturb

    def __torch_dispatch__(self, func: Callable, types: Any, args: Any = (), kwargs: dict | None = None) -> Any:
        if opened := OPENED.get(func):  # type: ignore[call-overload]
            with self:
                return opened(*args, **(kwargs or {}))
        result = func(*args, **(kwargs or {}))
        name = func._schema.name  # type: ignore[attr-defined]
        if name in ROUNDING:
            return tree_map(self._rounded, result)
        if name.endswith("_") and name[:-1] in ROUNDING:
            result.copy_(self._rounded(result))
        return result

    def _rounded(self, result: Any) -> Any:
        """Returns the neighbours; whole numbers, as of a mask or a count, are exact in any order of sums.

        Sparse tensors stay: PyTorch compares none, and what is made of them is dense in the end.
        """
        if not isinstance(result, torch.Tensor) or not result.is_floating_point() or is_sparse(result):
            return result
        whole = (result == result.round()) & (result.abs() < EXACT)
        return torch.where(whole, result, moved(result, self.disturb, 1.0))


def rounding_otherwise(disturb: Disturb) -> AbstractContextManager[Any]:
    """Returns a block within which every operation rounds otherwise, where that is what disturbs the run."""
    return RoundedOtherwise(disturb) if isinstance(disturb, EveryOperation) else nullcontext()


def by_an_ulp(seed: int, ulps: int = 1, operations: bool = False) -> Disturb:
    """Returns what moves numbers by some ulps; with `operations`, by one in every operation as well."""
    return EveryOperation(seed) if operations else one_ulp(seed, ulps)
