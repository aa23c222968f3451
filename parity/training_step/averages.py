"""Why an averaged copy, or running statistics, differ while the parameters agree."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch

from d2l_jax.weights.leaf import export, unflatten
from parity.arrays.key import Arrays, Key
from parity.blame.diagnosis import Cause
from parity.training_step.judged import Outcome
from parity.training_step.pair import StepPair
from parity.training_step.weight_map import Copy

MOST_PASSES = 4  # of a model within one step, as the two of sharpness-aware minimisation


class Moved(NamedTuple):
    """The numbers of an average at one step, in one row each.

    old, theirs, ours: the average before, after PyTorch's step, after Flax's
    first, last:       the parameters before and after
    """

    old: np.ndarray
    theirs: np.ndarray
    ours: np.ndarray
    first: np.ndarray
    last: np.ndarray


def of_average(pair: StepPair, copy: Copy, outcome: Sequence[Outcome], wrong: Sequence[Key]) -> Cause | None:
    """Returns why the average differs, where one rule explains it at every step.

    wrong: what differs of it; where the running statistics alone do, they are judged
    """
    trained = {leaf.name for leaf in pair.trained}
    statistics = {key.tensor for key in wrong} - trained
    names = trained if len(statistics) < len(wrong) else statistics
    steps = [_moved(pair, copy, each, names) for each in outcome]
    theirs = rule_of(steps, [s.theirs for s in steps])
    if theirs is None:
        return None
    decay = theirs.decays[-1]
    if all(np.allclose(s.ours, s.old, rtol=0, atol=_small(s)) for s in steps):
        return Cause("ema-missing", f"Flax's average stays as it was; PyTorch's decay is {decay:.6g}", 0.0)
    ours = rule_of(steps, [s.ours for s in steps])
    if ours is None:
        return None if theirs.before else _corrected(steps, outcome, decay)
    if ours.before is theirs.before:
        return _of_decays(ours.decays, theirs.decays, outcome)
    same = "" if abs(ours.decays[-1] - decay) < 1e-6 else f", with decay {ours.decays[-1]:.6g} in place of {decay:.6g}"
    if ours.before:
        text = f"Flax averages the weights from before the update, PyTorch those after{same}"
    else:
        text = f"Flax averages the weights from after the update, PyTorch those before{same}"
    return Cause("ema-before-update", text, 0.0)


class Rule(NamedTuple):
    """How an average moves: towards the weights from before each update, or after it, and its decay at each step."""

    before: bool
    decays: list[float]


def rule_of(steps: Sequence[Moved], averages: Sequence[np.ndarray]) -> Rule | None:
    """Returns the rule by which the average moves at every step; None where there is none."""
    for before in (False, True):
        weights = [step.first if before else step.last for step in steps]
        fits = [_fit(*each) for each in zip(steps, averages, weights, strict=True)]
        known = [fit for fit in fits if fit is not None]
        if len(known) == len(fits):
            return Rule(before, [1 - fit for fit in known])
    return None


def _small(step: Moved) -> float:
    return 1e-12 * float(np.max(np.abs(step.old), initial=1e-300))


def _moved(pair: StepPair, copy: Copy, outcome: Outcome, wanted: Collection[str]) -> Moved:
    old = export(copy.leaves, unflatten(outcome.before))
    names = [name for name in old if Key(outcome.number, "buffers", name, "", copy.name) in outcome.flax]
    names = [name for name in names if name in wanted]
    first = export(pair.leaves, unflatten(outcome.before))
    last = export(pair.leaves, unflatten(outcome.after))
    keys = [Key(outcome.number, "buffers", name, "", copy.name) for name in names]
    return Moved(
        _row(old, names),
        np.concatenate([outcome.oracle[key].ravel() for key in keys]),
        np.concatenate([outcome.flax[key].ravel() for key in keys]),
        _row(first, names),
        _row(last, names),
    )


def _row(arrays: Arrays, names: list[str]) -> np.ndarray:
    return np.concatenate([np.asarray(arrays[name]).ravel() for name in names])


def _fit(step: Moved, average: np.ndarray, weights: np.ndarray) -> float | None:
    """Returns the part of the way to the weights that the average has gone; None where it went elsewhere."""
    return part_of(average - step.old, weights - step.old, _small(step))


def part_of(way: np.ndarray, whole: np.ndarray, small: float = 0.0) -> float | None:
    """Returns the part of the whole way that was gone; None where it went elsewhere, by more than `small`."""
    size = float(whole @ whole)
    if not size:
        return 0.0 if np.all(np.abs(way) <= small) else None
    part = float(way @ whole) / size
    rest = np.linalg.norm(way - part * whole)
    return part if rest <= max(1e-6 * float(np.linalg.norm(way)), small * np.sqrt(way.size)) else None


def _of_decays(ours: list[float], theirs: list[float], outcome: Sequence[Outcome]) -> Cause:
    if np.ptp(ours) < 1e-6 and np.ptp(theirs) < 1e-6:
        text = f"the average's decay is {ours[0]:.6g} in Flax, {theirs[0]:.6g} in PyTorch"
        return Cause("ema-decay", text, 0.0)
    mine, yours = ([f"{decay if abs(decay) > 1e-9 else 0:.4g}" for decay in decays] for decays in (ours, theirs))
    steps = f"steps {outcome[0].number} to {outcome[-1].number}"
    text = f"the average's decay is {', '.join(mine)} in Flax, {', '.join(yours)} in PyTorch, at {steps}"
    if _begins_with_a_copy(ours):
        return Cause("ema-decay", f"{text}: Flax's first update copies the weights", 0.0)
    if _begins_with_a_copy(theirs):
        return Cause("ema-decay", f"{text}: PyTorch's first update copies the weights", 0.0)
    return Cause("ema-decay", text, 0.0)


def _begins_with_a_copy(decays: list[float]) -> bool:
    """Tells whether the first update alone copies, and the others have one decay."""
    first, *others = decays
    return abs(first) < 1e-9 and (not others or (np.ptp(others) < 1e-6 and others[0] > 1e-6))


def _corrected(steps: list[Moved], outcome: Sequence[Outcome], decay: float) -> Cause | None:
    """Returns whether Flax divides the average by 1 - decay^t, or starts it from zero."""
    for step, each in zip(steps, outcome, strict=True):
        average = decay * step.old + (1 - decay) * step.last
        if not np.allclose(step.ours * (1 - decay**each.number), average, rtol=1e-9, atol=_small(step)):
            return None
    return Cause("ema-bias-correction", "Flax divides the average by 1 - decay^t, PyTorch does not", 0.0)


def of_statistics(pair: StepPair, outcome: Outcome, key: Key) -> Cause | None:
    """Returns why a running mean or variance differs."""
    leaf = next(leaf for leaf in pair.leaves if leaf.name == key.tensor)
    old = export([leaf], unflatten(outcome.before))[leaf.name]
    ours = outcome.flax[key] - old
    theirs = outcome.oracle[key] - old
    if not ours.any():
        return Cause("statistics-missing", "Flax's step does not write it back; PyTorch's has changed", 0.0)
    module = pair.torch.model.get_submodule(key.tensor.rpartition(".")[0])
    momentum = getattr(module, "momentum", None)
    part = part_of(ours.ravel(), theirs.ravel())
    if part is not None and momentum:
        ours = part * momentum
        text = f"it moves {ours:.4g} of the way to the batch's in Flax, {momentum:g} in PyTorch: momentum is"
        return Cause("statistics-momentum", f"{text} {1 - ours:.4g} in Flax where {1 - momentum:g} is right", 0.0)
    if momentum and isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
        for passes in range(1, MOST_PASSES + 1):
            rest = (1 - momentum) ** passes * old
            part = part_of((outcome.flax[key] - rest).ravel(), (outcome.oracle[key] - rest).ravel())
            if part is not None and 0 < part < 1:
                text = "Flax keeps the batch's variance over n, PyTorch over n - 1"
                return Cause("biased-variance", f"{text} (n = {1 / (1 - part):.4g})", 0.0)
    return None
