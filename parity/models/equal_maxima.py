"""PyTorch's maxima with another slope where numbers are equal: JAX's share it, or another one of them has all of it."""

import re
from typing import Any, Literal

import torch
from torch.nn.modules.utils import _ntuple
from torch.overrides import TorchFunctionMode

Slope = Literal["shared", "first", "last"]
POOL = re.compile(r"_?(adaptive_)?max_pool([123])d")
AXIS = {"max": 1, "min": 1, "median": 1, "sort": 1, "topk": 2, "kthvalue": 2, "amax": 1, "amin": 1}  # its argument
MOST = 10**7  # numbers that are compared with each other


class EqualNumbers(TorchFunctionMode):
    """Lets numbers that are taken by their size have another slope within the block, where several are equal.

    slope: equal numbers share it, as those of `torch.amax` do; or the first of them has it, or the last
    """

    def __init__(self, slope: Slope = "shared") -> None:
        super().__init__()
        self.slope: Slope = slope
        self.met = 0

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        x = args[0] if args else kwargs.get("input")
        name = getattr(func, "__name__", "")
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            return result
        if name in AXIS:
            place = AXIS[name]
            axis = args[place] if len(args) > place else kwargs.get("dim", kwargs.get("axis"))
            return self._of_axis(name, x, axis, result)
        pool = POOL.fullmatch(name)
        if pool and isinstance(result, torch.Tensor) and self.slope == "shared":
            return self._of_windows(pool, x, args, kwargs, result)
        return result

    def _of_axis(self, name: str, x: torch.Tensor, axis: Any, result: Any) -> Any:
        """Returns the result of a function along an axis with the slope."""
        axis = -1 if axis is None and name in ("sort", "topk", "kthvalue") else axis
        values = result if isinstance(result, torch.Tensor) else result[0]
        single = isinstance(axis, int) and not isinstance(axis, bool)
        if not single or not x.ndim or isinstance(result, torch.Tensor) != name.startswith("am"):
            return result
        given = x.movedim(axis, -1)
        taken = values.movedim(axis, -1) if values.ndim == x.ndim else values[..., None]
        if taken.numel() * given.shape[-1] > MOST or not torch.isfinite(x).all():
            return result
        self.met += 1
        sloped = _sloped(given, taken.detach(), self.slope)
        sloped = sloped.movedim(-1, axis) if values.ndim == x.ndim else sloped[..., 0]
        return sloped if isinstance(result, torch.Tensor) else type(result)((sloped, result[1]))

    def _of_windows(self, pool: re.Match, x: torch.Tensor, args: tuple, kwargs: dict, result: torch.Tensor) -> Any:
        size = args[1] if len(args) > 1 else kwargs.get("kernel_size")
        stride = (args[2] if len(args) > 2 else kwargs.get("stride")) or size
        axes = range(-int(pool[2]), 0)
        if pool[1] or size is None:
            return self._taken(x.amax(tuple(axes), keepdim=True), result)
        return self._taken(_windows(x, axes, size, stride).amax(tuple(axes)), result)

    def _taken(self, values: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
        """Returns the values in the place of the result, unless it is another one, as of windows with a margin."""
        if not torch.equal(values, result):
            return result
        self.met += 1
        return values


def _sloped(x: torch.Tensor, taken: torch.Tensor, slope: Slope) -> torch.Tensor:
    """Returns the numbers (..., k) that were taken of x (..., n), with the slope of those of x that equal each."""
    equal = x.detach()[..., None, :] == taken[..., :, None]
    if slope == "shared":
        share = equal / equal.sum(-1, keepdim=True)
    else:
        before = torch.tril(taken[..., :, None] == taken[..., None, :], -1).sum(-1)  # which of its equals each is
        counted = equal if slope == "first" else equal.flip(-1)
        chosen = counted & (counted.cumsum(-1) == before[..., None] + 1)
        share = (chosen if slope == "first" else chosen.flip(-1)).to(x.dtype)
    sloped = (share.to(x.dtype) * x[..., None, :]).sum(-1)
    return taken + (sloped - sloped.detach())


def _windows(x: torch.Tensor, axes: range, size: Any, stride: Any) -> torch.Tensor:
    """Returns the windows without margins, their numbers along the last axes; x itself where there is none."""
    of_all = _ntuple(len(axes))
    for axis, length, step in zip([x.ndim + a for a in axes], of_all(size), of_all(stride), strict=True):
        if x.shape[axis] < length:
            return x
        x = x.unfold(axis, length, step)
    return x
