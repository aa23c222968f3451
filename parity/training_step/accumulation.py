"""Hypotheses on the gradient that Flax's optimiser meets: how micro-batches are added, how it is scaled."""

from collections.abc import Callable, Iterator

import numpy as np
from torch.utils._pytree import tree_leaves

from parity.arrays.key import Arrays
from parity.training_step.clipping import Trial, clipped, clipped_later
from parity.training_step.replay import EPS, Replay, added, clip, norm, scaled, slope

SCALES = tuple(2**power for power in range(5, 25))  # of a loss in float16


def gradients(replay: Replay) -> Iterator[Trial]:
    """Yields every hypothesis: (name, text, what PyTorch's optimiser would have made of it)."""
    trials = (*_accumulated(replay), *_not_moved(replay), *_weighted(replay), *clipped(replay), *_scaled(replay))
    for name, text, gradient in trials:
        yield name, text, lambda gradient=gradient: replay.pieces(gradient())
    yield from clipped_later(replay)


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


def _not_moved(replay: Replay) -> Iterator[tuple[str, str, Callable[[], Arrays]]]:
    """Yields the gradient of a pass before PyTorch's step has moved the parameters to where it takes its own."""
    away = replay.outcome.seen.away
    if len(replay.met) == len(replay.backward) or len(away) != len(replay.backward) or not away[-1]:
        return
    text = "Flax takes the gradient at the parameters of the step's start, PyTorch at those to which its step has moved"
    for each, moved in zip(replay.backward, away, strict=True):
        if not moved:
            yield "ascent-missing", f"{text} them first, as SAM does", lambda each=each: each


def _weighted(replay: Replay) -> Iterator[tuple[str, str, Callable[[], Arrays]]]:
    """Yields micro-batches that Flax weighs otherwise, as a mean of the means of unequal ones does."""
    passes = replay.passes
    linear = replay.linear if len(passes) > 1 and not replay.max_norm else {}
    names = [name for name in linear if all(name in each for each in (*passes, replay.applied))]
    if not names or any(linear[name][0].size != replay.applied[name].size for name in names):
        return
    sizes = {name: slope(linear[name][1], replay.applied[name].ravel()) for name in names}
    columns = [np.concatenate([sizes[name] * each[name].ravel() for name in names]) for each in passes]
    ours = np.concatenate([linear[name][0] for name in names])
    weights = np.linalg.lstsq(np.stack(columns, 1), ours, rcond=None)[0]
    if np.ptp(weights) < 1e-9 or not any(weights > 0):
        return
    times = ", ".join(f"{weight:.4g}" for weight in weights)
    text = f"Flax weighs the gradients of {len(passes)} micro-batches by {times} times what PyTorch does"
    gradient = added([scaled(each, float(weight)) for each, weight in zip(passes, weights, strict=True)])
    yield "gradient-accumulation", f"{text}: they are of unequal sizes, or counts", lambda: gradient


def _clipped_each(replay: Replay, eps: float) -> Iterator[tuple[str, str, Callable[[], Arrays]]]:
    count = len(replay.passes)
    text = f"Flax clips each of {count} micro-batches, PyTorch their sum"
    for factor in (1, count):

        def gradient(factor: int = factor) -> Arrays:
            each = [clip(scaled(one, factor), replay.max_norm, eps) for one in replay.passes]
            return scaled(added(each), 1 / factor)

        yield "clipping-order", text, gradient


def _scaled(replay: Replay) -> Iterator[tuple[str, str, Callable[[], Arrays]]]:
    """Yields the gradient times the one factor that Flax's state or step shows, where that has a reason."""
    factor = replay.factors.get("", 0.0)
    if factor and abs(factor - 1) > 1e-9:
        reason = _of_loss(replay, factor) or _of_power(replay, factor) or _of_norm(replay, factor)
        if reason:
            yield *reason, lambda: scaled(replay.applied, factor)


def scale(replay: Replay) -> Iterator[Trial]:
    """Yields the gradient times the one factor that Flax's state or step shows."""
    factor = replay.factors.get("", 0.0)
    several = sum(ours.size for ours, _ in replay.linear.values()) > 1  # a single number is always a multiple
    if several and factor and abs(factor - 1) > 1e-9:
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
    theirs = f"PyTorch to {replay.max_norm:.6g}" if replay.max_norm else "PyTorch does not"
    if size := next(filter(_is_round, sizes), 0.0):
        return "clipping", f"Flax clips the gradient to a norm of {size:.3g}, {theirs}"
    size = norm(replay.applied) * factor
    if any(_is_round(size * scale, 1e-8) for scale in SCALES):
        text = f"the gradient that Flax's optimiser meets has a norm of {size:.6g}, a round limit over a power of two"
        return "loss-scale", f"{text}: clipped before it is divided by the loss's scale; {theirs}"
    return None


def _is_round(size: float, eps: float = 1e-9) -> bool:
    return size > 0 and abs(size - float(f"{size:.3g}")) < eps * size
