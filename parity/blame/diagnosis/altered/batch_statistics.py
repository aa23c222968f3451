"""The statistics of batch normalisation under other conventions: which normalise, and how they are averaged."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from parity.blame.diagnosis.altered.change import Altered, changed, forward_of, forwarding


def momentum(module: nn.Module) -> Iterator[Altered]:
    """A different share of the batch in the running statistics."""
    if not isinstance(module, _NormBase) or module.momentum is None:
        return
    mixed = module.momentum
    text = f"Flax mixes in 1 - {mixed:g} of the batch statistics where PyTorch mixes in {mixed:g}"
    yield "momentum-complement", text, changed(module, momentum=1 - mixed)
    for value in (0.01, 0.1, 0.99, 0.9, 0.001, 0.0, 1.0):
        if value != mixed:
            text = f"Flax mixes in {value:g} of the batch statistics (its momentum {1 - value:g}), PyTorch {mixed:g}"
            cause = "momentum" if value else "statistics-not-updated"
            yield cause, text, changed(module, momentum=value)


def biased_running_variance(module: nn.Module) -> Iterator[Altered]:
    """Running averages of the biased variance."""
    if isinstance(module, _BatchNorm) and module.track_running_stats:
        text = "Flax's running variance averages the biased variance, PyTorch's the unbiased one, n / (n - 1) larger"
        yield "biased-variance", text, forwarding(module, partial(_observing_biased, forward_of(module)))


def _observing_biased(inner: Callable[..., torch.Tensor], m: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    before = m.running_var.clone() if m.running_var is not None else None
    y = inner(m, x)
    if m.training and before is not None and m.running_var is not None and m.momentum is not None:
        n = x.numel() / len(before)
        gained = m.running_var - (1 - m.momentum) * before
        m.running_var = m.running_var - gained / n  # in place, the backward pass would refuse
    return y


def statistics(module: nn.Module) -> Iterator[Altered]:
    """Batch statistics against running statistics."""
    if not isinstance(module, _BatchNorm) or not module.track_running_stats:
        return
    running = "Flax normalises by the running statistics, PyTorch by those of the batch"
    yield "running-statistics", running, forwarding(module, _by_running)
    batch = "Flax normalises by the statistics of the batch, PyTorch by the running ones"
    yield "batch-statistics", batch, forwarding(module, _by_batch)
    text = "Flax leaves the running statistics as they were"
    yield "statistics-not-updated", text, forwarding(module, _not_observing)


def _by_running(m: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    return nn.functional.batch_norm(x, m.running_mean, m.running_var, m.weight, m.bias, False, 0.0, m.eps)


def _by_batch(m: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    return nn.functional.batch_norm(x, None, None, m.weight, m.bias, True, 0.0, m.eps)


def _not_observing(m: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    return nn.functional.batch_norm(x, None, None, m.weight, m.bias, m.training, 0.0, m.eps)


def observing(module: nn.Module) -> Iterator[Altered]:
    """Batch statistics without their gradient, or observed twice."""
    if isinstance(module, _BatchNorm) and module.track_running_stats:
        yield "no-gradient", "Flax lets no gradient through the batch statistics", forwarding(module, _constant)
        yield "statistics-twice", "Flax updates the running statistics twice in one call", forwarding(module, _twice)


def _constant(m: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    if not m.training:
        return type(m).forward(m, x)
    type(m).forward(m, x.detach())
    var, mean = torch.var_mean(x.detach(), axes, correction=0)
    return nn.functional.batch_norm(x, mean, var, m.weight, m.bias, False, 0.0, m.eps)


def _twice(m: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    if m.training:
        type(m).forward(m, x.detach())
    return type(m).forward(m, x)
