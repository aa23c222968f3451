"""Hypotheses on the gradient that Flax's optimiser meets: how micro-batches are added, how it is scaled and clipped."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from parity.arrays.key import Arrays
from parity.blame.diagnosis.cause import Pieces, distance
from parity.training_step.replay import EPS, Replay, added, clip, norm, scaled

LIMITS = (0.1, 0.5, 1.0, 5.0, 10.0)  # to which people clip
Trial = tuple[str, str, Callable[[], Pieces]]


def gradients(replay: Replay) -> Iterator[Trial]:
    """Yields every hypothesis: (name, text, what PyTorch's optimiser would have made of it)."""
    for name, text, gradient in (*_accumulated(replay), *_clipped(replay), *_scaled(replay)):
        yield name, text, lambda gradient=gradient: replay.pieces(gradient())
    yield from _clipped_later(replay)


def _accumulated(replay: Replay) -> Iterator[tuple[str, str, Callable[[], Arrays]]]:
    passes = replay.passes
    count = len(passes)
    if count < 2:
        return
    whole = replay.raw
    kind = "gradient-accumulation"
    text = f"Flax adds the gradients of {count} micro-batches, PyTorch takes their mean"
    yield kind, text, lambda: replay.clipped(scaled(whole, count))
    text = f"Flax takes the mean of {count} micro-batches' gradients, PyTorch adds them"
    yield kind, text, lambda: replay.clipped(scaled(whole, 1 / count))
    for number, gradient in enumerate(passes, 1):
        rest = added([other for other in passes if other is not gradient])
        one = f"Flax leaves out micro-batch {number} of {count}"
        yield kind, one, lambda rest=rest: replay.clipped(rest)
        mean = f"{one}, and takes the mean of the others"
        yield kind, mean, lambda rest=rest: replay.clipped(scaled(rest, count / (count - 1)))
        alone = f"Flax's gradient is that of micro-batch {number} of {count} alone"
        yield kind, alone, lambda gradient=gradient: replay.clipped(gradient)
        alone = f"{alone}, undivided"
        yield kind, alone, lambda gradient=gradient: replay.clipped(scaled(gradient, count))
        twice = f"Flax adds micro-batch {number} of {count} twice"
        yield kind, twice, lambda gradient=gradient: replay.clipped(added([whole, gradient]))
    for divisor in (count - 1, count + 1):
        text = f"Flax divides by {divisor}, PyTorch by {count} micro-batches"
        yield kind, text, lambda divisor=divisor: replay.clipped(scaled(whole, count / divisor))
    for eps in (EPS, 0.0) if replay.max_norm else ():
        yield from _clipped_each(replay, eps)


def _clipped_each(replay: Replay, eps: float) -> Iterator[tuple[str, str, Callable[[], Arrays]]]:
    count = len(replay.passes)
    text = f"Flax clips each of {count} micro-batches, PyTorch their sum"
    for factor in (1, count):

        def gradient(factor: int = factor) -> Arrays:
            each = [clip(scaled(one, factor), replay.max_norm, eps) for one in replay.passes]
            return scaled(added(each), 1 / factor)

        yield "clipping-order", text, gradient


def _clipped(replay: Replay) -> Iterator[tuple[str, str, Callable[[], Arrays]]]:
    most = replay.max_norm
    if not most:
        yield from _clipped_alone(replay)
        text = "Flax leaves out what PyTorch does to the gradient before the update"
        if distance(list(replay.raw.values()), list(replay.applied.values()), list(replay.applied.values())) > 1e-9:
            yield "clipping-missing", text, lambda: replay.raw
        return
    yield "clipping-missing", f"Flax does not clip the gradient, PyTorch to a norm of {most:.6g}", lambda: replay.raw
    adding, other = ("PyTorch", 0.0) if replay.clip_eps else ("Flax", EPS)
    text = f"both clip to a norm of {most:.6g}, but {adding} adds {EPS:g} to the norm that it divides by"
    yield "clipping-eps", text, lambda: clip(replay.raw, most, other)
    for limit in (most, *LIMITS):
        text = f"Flax clips every number to {limit:.6g}, PyTorch the norm of all to {most:.6g}"
        values = {name: np.clip(array, -limit, limit) for name, array in replay.raw.items()}
        yield "clipping-by-value", text, lambda values=values: values
    for eps in (EPS, 0.0):
        text = "Flax clips each tensor by itself, PyTorch all of them together"
        each = {n: clip({n: a}, most, eps)[n] for n, a in replay.raw.items()}
        yield "clipping-per-tensor", text, lambda each=each: each
        decay = {name: group.get("weight_decay", 0.0) for name, group in _groups(replay).items()}
        if any(decay.values()):
            text = "Flax adds the weight decay before it clips, PyTorch after"
            yield "clipping-order", text, lambda eps=eps, decay=decay: _with_decay(replay, decay, eps)


def _clipped_alone(replay: Replay) -> Iterator[tuple[str, str, Callable[[], Arrays]]]:
    """Yields the gradient clipped otherwise than by its whole norm, where PyTorch does not clip at all."""
    for limit in LIMITS:
        text = f"Flax clips every number to {limit:g}, PyTorch does not clip"
        values = {name: np.clip(array, -limit, limit) for name, array in replay.applied.items()}
        yield "clipping-by-value", text, lambda values=values: values
        for eps in (EPS, 0.0):
            text = f"Flax clips each tensor by itself to a norm of {limit:g}, PyTorch does not clip"
            each = {name: clip({name: array}, limit, eps)[name] for name, array in replay.applied.items()}
            yield "clipping-per-tensor", text, lambda each=each: each


def _groups(replay: Replay) -> dict[str, dict]:
    side = replay.pair.torch
    names = {id(parameter): name for name, parameter in side.model.named_parameters()}
    groups = side.optimizer.param_groups
    return {names[id(p)]: group for group in groups for p in group["params"] if id(p) in names}


def _with_decay(replay: Replay, decay: dict[str, float], eps: float) -> Arrays:
    """Returns gradients to which PyTorch's optimiser adds what makes them the clipped sum."""
    before = replay.outcome.seen.before
    decayed = {name: array + decay.get(name, 0.0) * before[name] for name, array in replay.raw.items()}
    whole = clip(decayed, replay.max_norm, eps)
    return {name: array - decay.get(name, 0.0) * before[name] for name, array in whole.items()}


def _clipped_later(replay: Replay) -> Iterator[Trial]:
    """Yields the updates clipped, in place of the gradient."""
    most = replay.max_norm
    rates = {float(options["lr"]) for options in replay.outcome.seen.options[-1]}
    if not most or len(rates) > 1:
        return
    ways = product((1.0, rates.pop() or 1.0), (EPS, 0.0))
    for rate, eps in ways:

        def pieces(rate: float = rate, eps: float = eps) -> Pieces:
            plain = replay.pieces(replay.raw)
            updates = {str(k): piece for k, piece in zip(replay.keys, plain, strict=True) if k.phase == "update"}
            later = clip(updates, most * rate, eps * rate)
            return [later.get(str(key), piece) for key, piece in zip(replay.keys, plain, strict=True)]

        yield "clipping-order", "Flax clips what the optimiser makes of the gradient, PyTorch the gradient", pieces


def _scaled(replay: Replay) -> Iterator[tuple[str, str, Callable[[], Arrays]]]:
    """Yields the gradient times the one factor that Flax's state or step shows, where that has a reason."""
    factor = factor_of(replay)
    if factor and abs(factor - 1) > 1e-9:
        reason = _of_loss(replay, factor) or _of_power(replay, factor) or _of_norm(replay, factor)
        if reason:
            yield *reason, lambda: scaled(replay.applied, factor)


def scale(replay: Replay) -> Iterator[Trial]:
    """Yields the gradient times the one factor that Flax's state or step shows."""
    factor = factor_of(replay)
    if factor and abs(factor - 1) > 1e-9:
        yield "gradient-scale", _met(factor), lambda: replay.pieces(scaled(replay.applied, factor))


def _met(factor: float) -> str:
    return f"the gradient that Flax's optimiser meets is {factor:.8g} times PyTorch's"


def _of_loss(replay: Replay, factor: float) -> tuple[str, str] | None:
    losses = [key for key in replay.outcome.oracle if key.phase == "forward" and "loss" in key.tensor]
    ratios = [float(replay.outcome.flax[key] / replay.outcome.oracle[key]) for key in losses]
    if not any(abs(ratio - factor) < 1e-9 * abs(factor) for ratio in ratios):
        return None
    sizes = {str(n) for x in tree_leaves(replay.pair.batches[replay.outcome.number - 1]) for n in np.shape(x)[:2]}
    count = f"{factor:.8g}" if factor > 1 else f"{1 / factor:.8g}"
    text = f"Flax's loss is {factor:.8g} times PyTorch's, and so is its gradient"
    if count not in sizes:
        return "loss-factor", text
    return "loss-reduction", f"{text}: a {'sum' if factor > 1 else 'mean'} over {count} that PyTorch has not"


def _of_power(replay: Replay, factor: float) -> tuple[str, str] | None:
    power = np.log2(abs(factor))
    eps = 1e-9 if power > 0 or not replay.max_norm else 1e-4  # PyTorch adds 1e-6 to the norm
    if abs(power - round(power)) > eps or abs(power) < 5:
        return None
    if power > 0:
        return "loss-scale", f"{_met(factor)}: the loss's scale is not taken out"
    why = "clipped before it is divided" if replay.max_norm else "divided though the loss was not multiplied"
    return "loss-scale", f"{_met(factor)}: {why} by the loss's scale"


def _of_norm(replay: Replay, factor: float) -> tuple[str, str] | None:
    sizes = [norm(replay.applied) * factor * (1 + eps / (norm(replay.raw) or 1.0)) for eps in (EPS, 0.0)]
    size = next((size for size in sizes if abs(size - float(f"{size:.3g}")) < 1e-9 * size), 0.0)
    if size <= 0:
        return None
    theirs = f"PyTorch to {replay.max_norm:.6g}" if replay.max_norm else "PyTorch does not"
    return "clipping", f"Flax clips the gradient to a norm of {size:.3g}, {theirs}"


def factor_of(replay: Replay) -> float:
    """Returns the factor of Flax's gradient to PyTorch's, where one fits all tensors; 0 where none does.

    The linear slot of each tensor, or the step of plain SGD, tells.
    """
    zero = dict(zip(replay.keys, replay.pieces(scaled(replay.applied, 0.0)), strict=True))
    once = dict(zip(replay.keys, replay.oracle, strict=True))
    linear = [key for key in replay.keys if key.slot in ("exp_avg", "momentum_buffer")]
    linear = linear or [key for key in replay.keys if isinstance(replay.pair.torch.optimizer, torch.optim.SGD)]
    if not linear:
        return 0.0
    ours = np.concatenate([(replay.outcome.flax[key] - zero[key]).ravel() for key in linear])
    theirs = np.concatenate([(once[key] - zero[key]).ravel() for key in linear])
    size = float(theirs @ theirs)
    return float(ours @ theirs) / size if size else 0.0
