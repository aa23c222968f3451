"""Pooling under other conventions."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis.altered.change import Altered, changed, followed, forwarding, sized
from parity.blame.diagnosis.altered.convolution import Pads, flat, same
from parity.blame.diagnosis.altered.maxima import MAXIMUM, ties

AVERAGE = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE = tuple(getattr(nn, f"Adaptive{kind}Pool{axes}d") for kind in ("Avg", "Max") for axes in (1, 2, 3))
AVG = {3: F.avg_pool1d, 4: F.avg_pool2d, 5: F.avg_pool3d}
MAX = {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}


def options(module: nn.Module) -> Iterator[Altered]:
    """Padding counted or not, sizes rounded up or down, another stride."""
    if not isinstance(module, (*AVERAGE, *MAXIMUM)):
        return
    if isinstance(module, AVERAGE):
        counted = module.count_include_pad
        text = f"Flax {'leaves the padding out of' if counted else 'counts the padding in'} the average"
        yield "count-include-pad", text, changed(module, count_include_pad=not counted)
    text = f"Flax rounds the output's size {'down' if module.ceil_mode else 'up'} (ceil_mode)"
    yield "ceil-mode", text, changed(module, ceil_mode=not module.ceil_mode)
    for stride in (1, 2, 3, module.kernel_size):
        if stride != module.stride:
            yield "stride", f"Flax has stride {stride}, PyTorch {module.stride}", changed(module, stride=stride)


def kinds(module: nn.Module) -> Iterator[Altered]:
    """The average for the maximum, the sum for the average."""
    if isinstance(module, AVERAGE):
        yield "max-for-average", "Flax takes the maximum, PyTorch the average", forwarding(module, _pooled("max"))
        yield "sum-for-average", "Flax takes the sum, PyTorch the average", forwarding(module, _pooled("sum"))
    elif isinstance(module, MAXIMUM):
        average = forwarding(module, _pooled("average"))
        yield "average-for-max", "Flax takes the average, PyTorch the maximum", average
    elif isinstance(module, ADAPTIVE):
        average = "Avg" in type(module).__name__
        text = "Flax takes the maximum, PyTorch the average" if average else "Flax takes the average, not the maximum"
        name = "max-for-average" if average else "average-for-max"
        yield name, text, forwarding(module, lambda m, x: _adaptive(m, x, not average))


def _adaptive(m: Any, x: torch.Tensor, average: bool) -> torch.Tensor:
    axes = type(m).__name__[-2:]
    return getattr(F, f"adaptive_{'avg' if average else 'max'}_pool{axes}")(x, m.output_size)


def windows(module: nn.Module) -> Iterator[Altered]:
    """Windows of one size where PyTorch's adaptive ones overlap, since the size is no multiple of their number."""
    if isinstance(module, ADAPTIVE):
        for wide, what in ((False, "size // number, which leave out the rest"), (True, "size - (number - 1) * stride")):
            text = f"Flax pools windows of {what}; PyTorch's {module.output_size} adaptive ones overlap"
            yield "adaptive-windows", text, forwarding(module, lambda m, x, wide=wide: _even(m, x, wide))


def _even(m: Any, x: torch.Tensor, wide: bool) -> torch.Tensor:
    counts = [n or size for n, size in zip(sized(m, x.ndim - 2, m.output_size), x.shape[2:])]
    strides = [size // n for size, n in zip(x.shape[2:], counts)]
    longest = [size - (n - 1) * stride for size, n, stride in zip(x.shape[2:], counts, strides)]
    pool = AVG if "Avg" in type(m).__name__ else MAX
    return pool[x.ndim](x, longest if wide else strides, strides)[(..., *map(slice, counts))]


def _pooled(kind: str) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        if kind == "max":
            return MAX[x.ndim](x, m.kernel_size, m.stride, m.padding, 1, m.ceil_mode)
        y = AVG[x.ndim](x, m.kernel_size, m.stride, m.padding, m.ceil_mode, True)
        return y * math.prod(sized(m, x.ndim - 2, m.kernel_size)) if kind == "sum" else y

    return forward


def padding(module: nn.Module) -> Iterator[Altered]:
    """SAME padding, none, at the end alone; padded with zeros where PyTorch's maximum ignores the padding."""
    if not isinstance(module, (*AVERAGE, *MAXIMUM)):
        return
    value = float("-inf") if isinstance(module, MAXIMUM) else 0.0
    for low, counted in ((False, True), (False, False), (True, True)):
        text = f"Flax pads as 'SAME' does, uneven at the {'beginning' if low else 'end'}; PyTorch pads {module.padding}"
        yield (
            "same-padding",
            text,
            forwarding(module, lambda m, x, low=low, counted=counted: _padded(m, x, same(m, x, low), value, counted)),
        )
    for name, by in (("uneven-padding", (0, 1)), ("uneven-padding", (1, 0))):
        yield (
            name,
            f"Flax pads {by} more than PyTorch's {module.padding}",
            forwarding(
                module,
                lambda m, x, by=by: _padded(
                    m, x, [(p + by[0], p + by[1]) for p in sized(m, x.ndim - 2, m.padding)], value
                ),
            ),
        )
    if module.padding not in (0, (0, 0)):
        yield "no-padding", f"Flax does not pad, PyTorch pads {module.padding}", changed(module, padding=0)
        if isinstance(module, MAXIMUM):
            yield (
                "zero-padding",
                "Flax pads with zeros, PyTorch's maximum ignores the padding",
                forwarding(module, lambda m, x: _padded(m, x, [(p, p) for p in sized(m, x.ndim - 2, m.padding)], 0.0)),
            )


def _padded(m: Any, x: torch.Tensor, pads: Pads, value: float, counted: bool = True) -> torch.Tensor:
    y = F.pad(x, flat(pads), value=value)
    if isinstance(m, MAXIMUM):
        return MAX[x.ndim](y, m.kernel_size, m.stride, 0, m.dilation)
    pooled = AVG[x.ndim](y, m.kernel_size, m.stride)
    if counted:
        return pooled
    return pooled / AVG[x.ndim](F.pad(torch.ones_like(x), flat(pads)), m.kernel_size, m.stride)


def exchanged(module: nn.Module) -> Iterator[Altered]:
    """The result with height and width exchanged."""
    if isinstance(module, (*AVERAGE, *MAXIMUM, *ADAPTIVE)):
        yield "transposed", "Flax exchanges height and width", followed(module, lambda y: y.transpose(-1, -2))


ALTERATIONS = [options, kinds, padding, windows, exchanged, ties]
