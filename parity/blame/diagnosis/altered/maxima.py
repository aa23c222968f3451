"""Equal maxima of a window: PyTorch's gradient goes to the first of them; to the last, or to all in shares."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis.altered.change import Altered, forwarding, sized
from parity.blame.diagnosis.altered.convolution import flat

MAXIMUM = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def ties(module: nn.Module) -> Iterator[Altered]:
    """The same numbers, other gradients."""
    if isinstance(module, MAXIMUM):
        text = "Flax's gradient goes to the last of equal maxima, PyTorch's to the first"
        yield "tie-rule", text, forwarding(module, _last)
        text = "Flax shares the gradient among equal maxima (jnp.max), PyTorch's goes to the first"
        yield "tie-rule", text, forwarding(module, lambda m, x: _windows(m, x).amax(-1))


def _last(m: Any, x: torch.Tensor) -> torch.Tensor:
    windows = _windows(m, x).flip(-1)
    return windows.gather(-1, windows.max(-1, keepdim=True).indices).squeeze(-1)


def _windows(m: Any, x: torch.Tensor) -> torch.Tensor:
    """Returns the numbers of each window along a last axis, those beyond the edges infinitely low."""
    axes = x.ndim - 2
    lengths = type(m).forward(m, x).shape[2:]
    options = [sized(m, axes, value) for value in (m.kernel_size, m.stride, m.padding, m.dilation)]
    each = list(zip(x.shape[2:], lengths, *options))
    ends = [(n - 1) * s + (k - 1) * d + 1 for _, n, k, s, _, d in each]
    pads = [(p, max(end - size - p, 0)) for end, (size, _, _, _, p, _) in zip(ends, each)]
    windows = F.pad(x, flat(pads), value=-torch.inf)
    for axis, (_, n, k, s, _, d) in enumerate(each, 2):
        spread = (k - 1) * d + 1
        windows = windows.unfold(axis, spread, s)[..., ::d].narrow(axis, 0, n)
    return windows.flatten(2 + axes)
