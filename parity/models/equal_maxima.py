"""PyTorch's maxima with the slope of JAX's, which equal numbers share: in PyTorch one has all of it."""

import re
from typing import Any

import torch
from torch.nn.modules.utils import _ntuple
from torch.overrides import TorchFunctionMode

POOL = re.compile(r"_?(adaptive_)?max_pool([123])d")


class SharedMaxima(TorchFunctionMode):
    """Lets `torch.max(x, dim)`, and maxima of windows, have the gradient of `torch.amax` within the block."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = 0

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        x = args[0] if args else kwargs.get("input")
        if isinstance(result, torch.return_types.max) and x is not None:
            axis = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))
            values = x.amax(axis, keepdim=result.values.ndim == x.ndim)
            return torch.return_types.max((self._taken(values, result.values), result.indices))
        pool = POOL.fullmatch(getattr(func, "__name__", ""))
        if pool and isinstance(result, torch.Tensor) and x is not None:
            size = args[1] if len(args) > 1 else kwargs.get("kernel_size")
            stride = (args[2] if len(args) > 2 else kwargs.get("stride")) or size
            axes = range(-int(pool[2]), 0)
            if pool[1] or size is None:
                return self._taken(x.amax(tuple(axes), keepdim=True), result)
            return self._taken(_windows(x, axes, size, stride).amax(tuple(axes)), result)
        return result

    def _taken(self, values: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
        """Returns the values in the place of the result, unless it is another one, as of windows with a margin."""
        if not torch.equal(values, result):
            return result
        self.shared += 1
        return values


def _windows(x: torch.Tensor, axes: range, size: Any, stride: Any) -> torch.Tensor:
    """Returns the windows without margins, their numbers along the last axes; x itself where there is none."""
    of_all = _ntuple(len(axes))
    for axis, length, step in zip([x.ndim + a for a in axes], of_all(size), of_all(stride), strict=True):
        if x.shape[axis] < length:
            return x
        x = x.unfold(axis, length, step)
    return x
