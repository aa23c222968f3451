"""Models in float16 or bfloat16 are refused: their mathematics is compared in float64, where they are others."""

from typing import Any

import jax.numpy as jnp
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import flatten
from parity.models.flax_model import FlaxModel

HALVES = (torch.float16, torch.bfloat16)
RIGHT = (
    "float32 is right for both (model.float() in PyTorch, dtype and param_dtype float32 in Flax);"
    ' tiers=("float64", "bfloat16") then runs both in bfloat16, too'
)


def check_not_half(flax: FlaxModel, theirs: torch.nn.Module) -> None:
    """Raises InputError where either model holds parameters of half precision."""
    for name, parameter in theirs.named_parameters():
        if parameter.dtype in HALVES:
            dtype = str(parameter.dtype).removeprefix("torch.")
            raise InputError(f"{flax.name}: PyTorch's {name} is {dtype}; {RIGHT}")
    for path, array in flatten(flax.params):
        if jnp.dtype(array.dtype) in (jnp.float16, jnp.bfloat16):
            raise InputError(f"{flax.name}: Flax's {'.'.join(map(str, path))} is {array.dtype}; {RIGHT}")


class NoHalves(TorchDispatchMode):
    """Raises InputError where PyTorch computes in half precision within the block, as under autocast."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        dtypes = {x.dtype for x in tree_leaves(result) if isinstance(x, torch.Tensor)}
        if seen := dtypes.intersection(HALVES):
            dtype = str(seen.pop()).removeprefix("torch.")
            raise InputError(f"{self.name}: PyTorch's model computes in {dtype} (autocast?); {RIGHT}")
        return result
