"""Hypotheses on weight decay: how large, of which parameters, of the gradient or of the weights."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from parity.blame.diagnosis.cause import distance
from parity.blame.diagnosis.optimizers.step import ObservedStep, Ready, ready, update
from parity.blame.diagnosis.optimizers.trial import Trial, after, first_group, listed, with_options

SAME = 1e-9  # relative: one parameter's update


def weight_decay(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """No weight decay, another, of other parameters, or in the other place."""
    group = first_group(about)
    if "weight_decay" not in group:
        return
    decay = group["weight_decay"]
    decoupled = group.get("decoupled_weight_decay", isinstance(about.optimizer, torch.optim.AdamW))
    if decay:
        yield "weight-decay-missing", f"Flax has no weight decay, PyTorch {decay:g}", with_options(step, weight_decay=0)
        if decoupled:
            text = "Flax adds weight decay to the gradient, PyTorch decays the weights (AdamW)"
            yield "weight-decay-l2", text, after(step, _into_gradient)
        else:
            yield from _decoupled(step)
        text = "Flax decays weights by weight_decay, not by lr * weight_decay"
        yield "weight-decay-unscaled", text, after(step, _unscaled_decay)
        if decoupled:
            text = "Flax decays the weights that the update has moved already, PyTorch those from before it"
            yield "weight-decay-after", text, lambda: _decayed_after(step)
        text = "Flax does not decay biases and norms (vectors), PyTorch does"
        yield "weight-decay-on-bias", text, lambda: _spared(step, lambda array: array.ndim <= 1)
        text = "Flax decays biases and norms (vectors) alone"
        yield "weight-decay-on-bias", text, lambda: _spared(step, lambda array: array.ndim > 1)
        for factor, what in ((0.5, "half"), (2.0, "twice")):
            text = f"Flax's weight decay is {what} PyTorch's {decay:g}"
            yield "weight-decay", text, with_options(step, weight_decay=decay * factor)
    for value in (1e-4, 1e-2, 5e-4, 1e-3, 1e-1):
        if value != decay:
            text = f"Flax's weight decay is {value:g}, PyTorch's {decay:g}"
            yield "weight-decay", text, with_options(step, weight_decay=value)


def _decoupled(step: ObservedStep) -> Iterator[Trial]:
    """Decays the weights, PyTorch in the gradient; where the step has a ratio of norms, before it or beside."""
    text = "Flax decays the weights (AdamW), PyTorch adds to the gradient (L2)"
    try:
        before, beside = update(step, _into_weights), _decayed_beside(step)
    except (ArithmeticError, RuntimeError, ValueError, KeyError, TypeError):  # an optimiser of the user's
        return
    if distance(before, beside, beside) > SAME:
        yield "weight-decay-decoupled", text, lambda: before
        text = "Flax decays the weights beside the step, PyTorch within it, before a ratio of norms (LAMB's)"
    yield "weight-decay-decoupled", text, lambda: beside  # to more digits where a step is far below the weights


def _into_gradient(now: Ready) -> None:
    for name, tensor in now.tensors.items():
        now.gradients[name].add_(tensor.detach(), alpha=now.options(name)["weight_decay"])
    _no_decay(now)


def _into_weights(now: Ready) -> None:
    for name, tensor in now.tensors.items():
        group = now.options(name)
        tensor.data.mul_(1 - group["lr"] * group["weight_decay"])
    _no_decay(now)


def _unscaled_decay(now: Ready) -> None:
    for name, tensor in now.tensors.items():
        tensor.data.mul_(1 - now.options(name)["weight_decay"])
    _no_decay(now)


def _decayed_after(step: ObservedStep) -> list[np.ndarray]:
    groups = map(ready(step).options, step.before)
    shares = [group["lr"] * group["weight_decay"] for group in groups]
    moved = zip(step.before.values(), update(step, _no_decay), shares, strict=True)
    return [change - share * (old + change) for old, change, share in moved]


def _decayed_beside(step: ObservedStep) -> list[np.ndarray]:
    groups = map(ready(step).options, step.before)
    shares = [group["lr"] * group["weight_decay"] for group in groups]
    moved = zip(step.before.values(), update(step, _no_decay), shares, strict=True)
    return [change - share * old for old, change, share in moved]


def _no_decay(now: Ready) -> None:
    _decay(0.0, now)


def masks(flax: Sequence[np.ndarray], step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """Yields a choice of the parameters that decay, as each of them shows it.

    flax: Flax's updates, in the order of `before`
    """
    most = max(group.get("weight_decay", 0.0) for group in about.optimizer.param_groups)
    if not most:
        return
    ways = [update(step), update(step, partial(_decay, most)), update(step, _no_decay)]
    fitting = [
        next((number for number, way in enumerate(each) if distance([way], [ours], [way]) < SAME), None)
        for ours, each in zip(flax, zip(*ways))
    ]
    if None in fitting:
        return
    more, fewer = ([name for name, fit in zip(step.before, fitting) if fit == number] for number in (1, 2))
    texts = [f"Flax decays {listed(more)}, PyTorch does not"] if more else []
    texts += [f"Flax does not decay {listed(fewer)}, PyTorch does"] if fewer else []
    pieces = [each[number or 0] for each, number in zip(zip(*ways), fitting)]
    yield "weight-decay-mask", "; ".join(texts), lambda: pieces


def _decay(value: float, now: Ready) -> None:
    for group in now.optimizer.param_groups:
        group["weight_decay"] = value


def _spared(step: ObservedStep, spared: Callable[[np.ndarray], bool]) -> list[np.ndarray]:
    """Some parameters without decay, the others with it."""
    pairs = zip(step.before.values(), update(step), update(step, _no_decay))
    return [without if spared(array) else decayed for array, decayed, without in pairs]
