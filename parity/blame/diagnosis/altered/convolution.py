"""Convolutions and their transposes under other conventions."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from parity.blame.diagnosis.altered.change import Altered, changed, forwarding, reweighted, sized

CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}
Pads = list[tuple[int, int]]


def kernels(module: nn.Module) -> Iterator[Altered]:
    """Flipped, exchanged or transposed kernels."""
    if not isinstance(module, _ConvNd):
        return
    spatial = tuple(range(2, module.weight.ndim))
    text = "Flax flips the kernel in space: a convolution against a cross-correlation"
    yield "kernel-flipped", text, reweighted(module, weight=lambda w: w.flip(spatial))
    shape = module.weight.shape
    if shape[0] == shape[1] > 1:
        text = "Flax exchanges the kernel's channels in and out"
        yield "channels-exchanged", text, reweighted(module, weight=lambda w: w.transpose(0, 1))
        text = "Flax exchanges the kernel's channels in and out and flips it in space"
        both = reweighted(module, weight=lambda w: w.transpose(0, 1).flip(spatial))
        yield "channels-exchanged-and-flipped", text, both
    if len(spatial) == 2 and shape[2] == shape[3] > 1:
        text = "Flax exchanges the kernel's height and width"
        yield "kernel-transposed", text, reweighted(module, weight=lambda w: w.transpose(2, 3))


def group_order(module: nn.Module) -> Iterator[Altered]:
    """Channels dealt to the groups in turn."""
    if not isinstance(module, _ConvNd) or module.groups == 1:
        return
    for side, count in (("outputs", module.out_channels), ("inputs", module.in_channels)):
        for first, what in ((module.groups, "in turn"), (count // module.groups, "in turn, the other way round")):
            order = torch.arange(count).reshape(first, -1).T.reshape(-1)
            if torch.equal(order, torch.arange(count)):
                continue
            text = f"Flax deals the {side} to the {module.groups} groups {what}; PyTorch's groups are contiguous"
            yield "groups-order", text, _dealt(module, side, order)


def _dealt(module: _ConvNd, side: str, order: torch.Tensor) -> nn.Module:
    if side == "inputs":
        return forwarding(module, lambda m, x: type(m).forward(m, x[:, order]))
    return forwarding(module, lambda m, x: type(m).forward(m, x)[:, order])


def strides(module: nn.Module) -> Iterator[Altered]:
    """A different stride or dilation, or the axes exchanged."""
    if not isinstance(module, _ConvNd):
        return
    axes = len(module.kernel_size)
    for name, values in (("stride", (1, 2, 3, 4)), ("dilation", (1, 2, 3))):
        for value in values:
            current = getattr(module, name)
            if current != (value,) * axes:
                text = f"Flax has {name} {value}, PyTorch {current}"
                yield name, text, changed(module, **{name: (value,) * axes})
                if name == "dilation" and set(module.stride) == {1} and not isinstance(module, _ConvTransposeNd):
                    yield name, f"{text}; what it pads keeps the size", _spread(module, value)
        if len(set(getattr(module, name))) > 1:
            text = f"Flax has the {name} of the axes in the opposite order"
            yield name, text, changed(module, **{name: getattr(module, name)[::-1]})


def _spread(module: _ConvNd, dilation: int) -> nn.Module:
    """Returns the convolution with another dilation; its padding keeps the size of what it puts out."""

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        totals = [
            low + high - (k - 1) * (d - dilation) for (low, high), k, d in zip(_pads_of(m), m.kernel_size, m.dilation)
        ]
        pads = [(total // 2, total - total // 2) for total in totals]
        y = F.pad(x, flat(pads), mode=MODES[m.padding_mode])
        return CONVOLVE[len(m.kernel_size)](y, m.weight, m.bias, 1, 0, dilation, m.groups)

    return forwarding(module, forward)


def padding(module: nn.Module) -> Iterator[Altered]:
    """SAME padding of any stride, none, one more or less, on one side only, of another kind."""
    if not isinstance(module, _ConvNd) or isinstance(module, _ConvTransposeNd):
        return
    pytorch_pads = _pads_of(module)
    for low in (False, True):
        end = "beginning" if low else "end"
        text = f"Flax pads as 'SAME' does: what is uneven goes to the {end}; PyTorch {pytorch_pads}"
        yield "same-padding", text, forwarding(module, lambda m, x, low=low: _convolve(m, x, same(m, x, low)))
    for name, text, pads in _other_pads(pytorch_pads):
        if all(min(pair) >= 0 for pair in pads) and pads != pytorch_pads:
            yield name, text, forwarding(module, lambda m, x, pads=pads: _convolve(m, x, pads))
    for mode in MODES:
        if mode != module.padding_mode and any(map(any, pytorch_pads)):
            text = f"Flax pads with {mode}, PyTorch with {module.padding_mode}"
            yield "padding-mode", text, forwarding(module, lambda m, x, mode=mode: _convolve(m, x, pytorch_pads, mode))


def _other_pads(pytorch_pads: Pads) -> Iterator[tuple[str, str, Pads]]:
    yield "no-padding", f"Flax does not pad, PyTorch pads {pytorch_pads}", [(0, 0)] * len(pytorch_pads)
    causal = [(low + high, 0) for low, high in pytorch_pads]
    yield "causal-padding", f"Flax pads the beginning alone, {causal}, PyTorch {pytorch_pads}", causal
    for by in (1, -1):
        text = f"Flax pads {by:+d} on every side of PyTorch's {pytorch_pads}"
        yield "padding", text, [(low + by, high + by) for low, high in pytorch_pads]
    for a, b in itertools.product((-1, 0, 1), repeat=2):
        if a != b:
            pads = [(low + a, high + b) for low, high in pytorch_pads]
            yield "uneven-padding", f"Flax pads {pads}, PyTorch {pytorch_pads}", pads
    if len(pytorch_pads) > 1:
        text = f"Flax pads the axes in the opposite order of PyTorch's {pytorch_pads}"
        yield "padding", text, pytorch_pads[::-1]


def _pads_of(m: _ConvNd) -> Pads:
    if m.padding == "valid":
        return [(0, 0)] * len(m.kernel_size)
    if m.padding == "same":
        total = [(k - 1) * d for k, d in zip(m.kernel_size, m.dilation)]
        return [(t // 2, t - t // 2) for t in total]
    return [(int(p), int(p)) for p in m.padding]


def same(m: nn.Module, x: torch.Tensor, low: bool = False) -> Pads:
    """XLA's SAME (or SAME_LOWER) for a window over the trailing axes."""
    axes = x.ndim - 2
    steps = sized(m, axes, m.stride)
    window = sized(m, axes, m.kernel_size)
    spread = sized(m, axes, getattr(m, "dilation", 1))
    pads = []
    for n, k, s, d in zip(x.shape[2:], window, steps, spread):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        pads.append((total - total // 2, total // 2) if low else (total // 2, total - total // 2))
    return pads


def flat(pads: Pads) -> list[int]:
    """Lists the pads in the order of `torch.nn.functional.pad`: the last axis first."""
    return [side for pair in reversed(pads) for side in pair]


def _convolve(m: _ConvNd, x: torch.Tensor, pads: Pads, mode: str | None = None) -> torch.Tensor:
    x = F.pad(x, flat(pads), mode=MODES[mode or m.padding_mode])
    convolve = CONVOLVE[len(m.kernel_size)]
    return convolve(x, m.weight, m.bias, m.stride, 0, m.dilation, m.groups)


def transposed_padding(module: Any) -> Iterator[Altered]:
    """Other crops of the full transposed convolution, to PyTorch's size or to stride times the input."""
    if not isinstance(module, _ConvTransposeNd):
        return
    spans = [(k - 1) * d + 1 for k, d in zip(module.kernel_size, module.dilation)]
    for low in range(max(spans)):
        for kind in ("own", "same", "valid"):
            text = f"Flax crops {low} at the beginning of the full result, PyTorch {module.padding}"
            text += {"own": "", "same": ", and keeps stride times the input", "valid": ", and nothing at the end"}[kind]
            name = "transposed-padding" if low not in tuple(module.padding) else "output-padding"
            for flip in (False, True):
                yield (
                    name + ("+kernel-flipped" if flip else ""),
                    text + ("; it flips the kernel in space too" if flip else ""),
                    forwarding(module, lambda m, x, low=low, kind=kind, flip=flip: _cropped(m, x, low, kind, flip)),
                )


def _cropped(m: Any, x: torch.Tensor, low: int, kind: str, flip: bool) -> torch.Tensor:
    axes = len(m.kernel_size)
    weight = m.weight.flip(tuple(range(2, 2 + axes))) if flip else m.weight
    full = TRANSPOSED[axes](x, weight, None, m.stride, 0, 0, m.groups, m.dilation)
    for place, (n, k, s) in enumerate(zip(x.shape[2:], m.kernel_size, m.stride)):
        axis = 2 + place
        pytorch_size = (n - 1) * s - 2 * m.padding[place] + m.dilation[place] * (k - 1) + m.output_padding[place] + 1
        size = {"own": pytorch_size, "same": n * s, "valid": full.shape[axis] - low}[kind]
        short = max(low + size - full.shape[axis], 0)
        full = F.pad(full, [0, 0] * (full.ndim - 1 - axis) + [0, short]).narrow(axis, low, size)
    return full if m.bias is None else full + m.bias.reshape(1, -1, *(1,) * axes)


ALTERATIONS = [kernels, strides, padding, group_order, transposed_padding]
