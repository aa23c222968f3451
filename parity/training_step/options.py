"""Hypotheses on the optimiser's options: the rate of another step, which tensors decay, and all that `blame` knows."""

import copy
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from parity.blame.diagnosis import Cause, explain_update
from parity.blame.diagnosis.cause import distance
from parity.blame.diagnosis.optimizers.rate import is_round
from parity.training_step.clipping import Trial
from parity.training_step.judged import Outcome
from parity.training_step.replay import SMALL, Alter, Replay

SAME = 1e-9  # relative: one parameter's update
ROUNDINGS = ("tf32", "bfloat16", "float16", "float32")


def rates(replay: Replay, others: list[Outcome]) -> Iterator[Trial]:
    """Yields the rate of each other step: a schedule that is late, or ahead."""
    groups = replay.outcome.seen.options[-1]
    now = replay.outcome.seen.rates
    number = replay.outcome.number
    if not now:
        return
    every = sorted((replay.outcome, *others), key=lambda each: each.number)
    held = any(one.seen.rates == following.seen.rates != [] for one, following in pairwise(every))
    for other in sorted(others, key=lambda each: abs(each.number - number)):
        rate = other.seen.rates
        if len(rate) != len(now) or np.allclose(rate, now, rtol=1e-12):
            continue

        text = f"Flax's rate of step {number} is that of step {other.number}, {rate[0]:.6g} in place of"
        yield (
            "learning-rate-count",
            f"{text} {now[0]:.6g}: its schedule {_late(replay.outcome, other, held)}",
            lambda rate=rate: replay.pieces(replay.applied, _at_rates(rate)),
        )
    first = [float(options.get("initial_lr", options["lr"])) for options in groups]  # what a scheduler begins with
    text = f"Flax's rate of step {number} is {first[0]:.6g}, with which PyTorch's schedule begins, in place of"
    if first != now:
        text = f"{text} {now[0]:.6g}: its schedule is late, or there is none"
        yield "learning-rate-count", text, lambda: replay.pieces(replay.applied, _at_rates(first))


def _late(outcome: Outcome, other: Outcome, held: bool) -> str:
    """Returns in words how a schedule differs that has the rate of another step; `held`: PyTorch's is one of epochs."""
    ahead = other.number > outcome.number
    if held:
        return f"moves {'sooner' if ahead else 'later'} than PyTorch's, which holds a rate for several steps"
    return f"is {abs(outcome.number - other.number)} {'ahead' if ahead else 'late'}"


def decays(replay: Replay) -> Iterator[Trial]:
    """Yields another decay of the average of gradients, as the slots of both sides show it.

    An average that starts at 0 does not tell its decay from the gradient's size.
    """
    replay.pair.torch.put(replay.outcome.start, "float64")
    slots = replay.pair.torch.state().slots
    held = [k for k in replay.keys if k.slot == "exp_avg" and k.tensor in replay.applied and k.tensor in slots]
    if not held or any("betas" not in group for group in replay.outcome.seen.options[-1]):
        return
    away = _joined([slots[key.tensor][key.slot] - replay.applied[key.tensor] for key in held])
    flax, theirs = (
        float(f"{_joined([after[key] - replay.applied[key.tensor] for key in held]) @ away / (away @ away):.9g}")
        for after in (replay.outcome.flax, replay.outcome.oracle)
    )

    def alter(optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            group["betas"] = tuple(flax if abs(beta - theirs) < 1e-7 else beta for beta in group["betas"])

    if is_round(flax):
        text = f"Flax's average of the gradients (exp_avg) decays by {flax:.6g}, PyTorch's by {theirs:.6g}"
        yield "betas", text, lambda: replay.pieces(replay.applied, alter)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays])


def learning_rates(replay: Replay) -> Iterator[Trial]:
    """Yields another rate for each of the optimiser's groups, as the updates show it."""
    side = replay.pair.torch
    names = {id(p): name for name, p in side.model.named_parameters()}
    updates = {key.tensor: key for key in replay.keys if key.phase == "update"}
    rates = []
    words = []
    if not replay.outcome.seen.rates:
        return
    for group, rate in zip(side.optimizer.param_groups, replay.outcome.seen.rates, strict=True):
        keys = [updates[names[id(p)]] for p in group["params"] if names.get(id(p)) in updates]
        ours = np.concatenate([replay.outcome.flax[key].ravel() for key in keys] or [np.zeros(0)])
        theirs = np.concatenate([replay.outcome.oracle[key].ravel() for key in keys] or [np.zeros(0)])
        size = float(theirs @ theirs)
        rates.append(rate * float(ours @ theirs) / size if size else rate)
        if abs(rates[-1] - rate) > 1e-9 * abs(rate):
            words.append(f"{rates[-1]:.6g} for {_listed([key.tensor for key in keys])}, PyTorch's {rate:.6g}")
    if not words:
        return
    whole = len(rates) == 1
    text = f"{rates[0]:.6g}, PyTorch's {words[0].rpartition(' ')[2]}" if whole else "; ".join(words)
    yield "learning-rate", f"Flax's learning rate is {text}", lambda: replay.pieces(replay.applied, _at_rates(rates))


def _at_rates(rates: list[float]) -> Alter:
    def alter(optimizer: torch.optim.Optimizer) -> None:
        for group, value in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = value

    return alter


def decay_masks(replay: Replay) -> Cause | None:
    """Returns which tensors decay on one side alone, where that explains every update."""
    decays = [options.get("weight_decay", 0.0) for options in replay.outcome.seen.options[-1]]
    if not any(decays):
        return None
    plain, flax = (dict(zip(replay.keys, pieces, strict=True)) for pieces in (replay.oracle, replay.flax))
    ways = {
        on: dict(zip(replay.keys, replay.pieces(replay.applied, _decayed(max(decays) if on else 0.0)), strict=True))
        for on in (True, False)
    }
    more: list[str] = []
    fewer: list[str] = []
    for key in (key for key in replay.keys if key.phase == "update"):
        fits = [
            name
            for name, way in (("", plain), ("more", ways[True]), ("fewer", ways[False]))
            if _same(way[key], flax[key], SMALL if key.tensor in replay.rounding else SAME)
        ]
        if not fits:
            return None
        if fits[0]:
            (more if fits[0] == "more" else fewer).append(key.tensor)
    if not more and not fewer:
        return None
    some = [f"Flax decays {_listed(more)}, PyTorch does not"] if more else []
    some += [f"Flax does not decay {_listed(fewer)}, PyTorch does"] if fewer else []
    return Cause("weight-decay-mask", "; ".join(some), 0.0)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _same(one: np.ndarray, other: np.ndarray, near: float) -> bool:
    return distance([one], [other], [one]) < near


def _decayed(value: float) -> Alter:
    def alter(optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            group["weight_decay"] = value

    return alter


def option(replay: Replay, by_numbers: bool) -> Cause | None:
    """Returns the one option under which PyTorch's optimiser takes Flax's step.

    by_numbers: or what the numbers of an update look like; where the loss is wrong, they come of that
    """
    moved = {key.tensor: piece for key, piece in zip(replay.keys, replay.flax) if key.phase == "update"}
    names = [name for name in moved if name in replay.applied and (moved[name].any() or name not in replay.rounding)]
    if not names:
        return None
    side = replay.pair.torch
    side.put(replay.outcome.start, "float64")
    before = {name: side.parameters()[name] for name in names}
    slots = side.state().slots
    owners = {id(p): name for name, p in side.model.named_parameters()}
    groups = [[owners.get(id(p), "") for p in group["params"]] for group in side.optimizer.param_groups]
    options = replay.outcome.seen.options[-1]

    def make(tensors: list[torch.Tensor]) -> torch.optim.Optimizer:
        tensor_of = dict(zip(names, tensors, strict=True))
        parts = [
            copy.copy(each) | {"params": [tensor_of[n] for n in group if n in tensor_of]}
            for each, group in zip(options, groups, strict=True)
        ]
        return _again(side.optimizer, [part for part in parts if part["params"]])

    try:
        cause = explain_update(
            make,
            before,
            {name: replay.applied[name] for name in names},
            {name: slots.get(name, {}) for name in names},
            {name: moved[name] for name in names},
            slots={key.slot for key in replay.outcome.flax if key.phase == "optimizer"},
            by_numbers=by_numbers,
        )
        return None if cause and cause.name in ROUNDINGS else cause  # no state or step here rounds to them
    except Exception:  # an optimiser of the user's may want anything
        return None


def _again(optimizer: Any, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Returns an optimiser of that kind with no slots yet, whatever the user's constructor takes."""
    new = object.__new__(type(optimizer))
    rest = {
        name: value for name, value in vars(optimizer).items() if name != "step"
    }  # a scheduler's, of that optimiser
    vars(new).update(rest, param_groups=groups, state=defaultdict(dict))
    return new
