"""Hypotheses on clipping: of the norm of all gradients, of each tensor by itself, of every number."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import torch

from parity.arrays.key import Arrays
from parity.blame.diagnosis.cause import Pieces, distance
from parity.blame.diagnosis.optimizers.limits import shown_limits
from parity.blame.diagnosis.optimizers.rate import is_round
from parity.blame.diagnosis.optimizers.trial import listed
from parity.compare.scale import rms
from parity.training_step.judged import torch_taken
from parity.training_step.replay import EPS, Replay, added, clip, norm, scaled, slope

LIMITS = (0.1, 0.5, 1.0, 5.0, 10.0)  # to which people clip
Trial = tuple[str, str, Callable[[], Pieces]]
Gradient = tuple[str, str, Callable[[], Arrays]]
Size = Callable[[np.ndarray], float]


def _norm(array: np.ndarray) -> float:
    return float(np.linalg.norm(array))


def clipped(replay: Replay) -> Iterator[Gradient]:
    """Yields gradients that are clipped otherwise than PyTorch's step does: (name, text, the gradients)."""
    shown = shown_limits(list(replay.given_to_flax.values()), [replay.raw[name] for name in replay.given_to_flax])
    most, (each, together) = replay.max_norm, _limit_of_each(replay.raw, replay.applied)
    number = _limit_of_numbers(replay.raw, replay.applied)
    if most:
        theirs = f"PyTorch all of them together to {most:.6g}"
        yield from _whole_norm(replay, most)
    elif number:
        theirs = f"PyTorch every number to {number:.6g}"
        yield "clipping-missing", f"Flax does not clip the gradient, {theirs}", lambda: replay.raw
        for limit, eps in product(dict.fromkeys((*shown.norms, number, *LIMITS)), (EPS, 0.0)):
            whole = f"Flax clips all tensors together to a norm of {limit:.6g}, {theirs}"
            yield "clipping-by-norm", whole, lambda limit=limit, eps=eps: clip(replay.raw, limit, eps)
    elif each:
        theirs = f"PyTorch to a norm of {each:.6g}"
        text = f"PyTorch {together} to a norm of {each:.6g}"
        yield "clipping-missing", f"Flax does not clip the gradient, {text}", lambda: replay.raw
        for limit, eps in product(dict.fromkeys((each, *LIMITS)), (EPS, 0.0)):
            whole = f"Flax clips all tensors together to a norm of {limit:.6g}, {text}"
            yield "clipping-per-tensor", whole, lambda limit=limit, eps=eps: clip(replay.raw, limit, eps)
    else:
        theirs = "PyTorch does not clip"
        text = "Flax leaves out what PyTorch does to the gradient before the update"
        if distance(list(replay.raw.values()), list(replay.applied.values()), list(replay.applied.values())) > 1e-9:
            yield "clipping-missing", text, lambda: replay.raw
    limits = dict.fromkeys((most, *LIMITS) if most else LIMITS)
    for limit in dict.fromkeys((*shown.numbers, *limits)):
        other = f"PyTorch the norm of all to {most:.6g}" if most else theirs
        values = {name: np.clip(array, -limit, limit) for name, array in replay.raw.items()}
        yield "clipping-by-value", f"Flax clips every number to {limit:.6g}, {other}", lambda values=values: values
    for what, size in (("norm", _norm), ("root mean square", rms)):
        for limit, eps in product(dict.fromkeys((*_shown(replay, size), *limits)), (EPS, 0.0)):
            text = f"Flax clips each tensor by itself, to a {what} of {limit:.6g}, {theirs}"
            gradient = {name: _by_itself(array, limit, eps, size) for name, array in replay.raw.items()}
            yield "clipping-per-tensor", text, lambda gradient=gradient: gradient
    yield from _by_groups(replay, theirs)


def _by_groups(replay: Replay, theirs: str) -> Iterator[Gradient]:
    """Yields tensors that Flax clips by the norm of some, as those of a layer, where its state shows one limit."""
    names = [name for name in replay.factors if name in replay.raw]
    ours = {name: replay.factors[name] * replay.applied[name] for name in names}
    factors = {name: slope(ours[name].ravel(), replay.raw[name].ravel()) for name in names}
    groups = _together(factors)
    sizes = [(_norm_of(ours, group), _norm_of(replay.raw, group)) for group in groups]
    limits = [[size * (1 + eps / whole) for size, whole in sizes] for eps in (EPS, 0.0)]
    limit = next((each[0] for each in limits if each and np.ptp(each) < 1e-8 * each[0] and is_round(each[0])), 0.0)
    if limit and any(1 < len(group) < len(names) for group in groups):
        text = f"Flax clips {_each_of(groups)} to a norm of {limit:.6g}, {theirs}"
        gradient = {name: factors.get(name, 1.0) * array for name, array in replay.raw.items()}
        yield "clipping-per-layer", text, lambda: gradient


def _whole_norm(replay: Replay, most: float) -> Iterator[Gradient]:
    """Yields what else a norm that PyTorch clips may mean."""
    yield "clipping-missing", f"Flax does not clip the gradient, PyTorch to a norm of {most:.6g}", lambda: replay.raw
    adding, other = ("PyTorch", 0.0) if replay.clip_eps else ("Flax", EPS)
    text = f"both clip to a norm of {most:.6g}, but {adding} adds {EPS:g} to the norm that it divides by"
    yield "clipping-eps", text, lambda: clip(replay.raw, most, other)
    if more := _frozen(replay):
        whole = norm(added(_passes_with(replay, more)))
        text = f"Flax clips by a norm that includes the gradients of {listed(list(more))}, which PyTorch does not train"
        for eps in (EPS, 0.0):
            yield "clipping-frozen", text, lambda eps=eps: scaled(replay.raw, min(1.0, most / (whole + eps)))
    decay = {name: group.get("weight_decay", 0.0) for name, group in _groups(replay).items()}
    for eps in (EPS, 0.0) if any(decay.values()) else ():
        text = "Flax adds the weight decay before it clips, PyTorch after"
        yield "clipping-order", text, lambda eps=eps: _with_decay(replay, decay, eps)


def _frozen(replay: Replay) -> dict[str, torch.nn.Parameter]:
    """Returns the parameters of which PyTorch's step takes no gradient."""
    return {name: p for name, p in replay.pair.torch.model.named_parameters() if not p.requires_grad}


def _passes_with(replay: Replay, frozen: dict[str, torch.nn.Parameter]) -> list[Arrays]:
    """Returns the gradients of PyTorch's backward passes, those of frozen parameters too."""
    for parameter in frozen.values():
        parameter.requires_grad_(True)
    try:
        seen, _ = torch_taken(replay.pair, replay.outcome.number, replay.outcome.start, "float64")
    finally:
        for parameter in frozen.values():
            parameter.requires_grad_(False)
    return seen.passes


def _by_itself(array: np.ndarray, limit: float, eps: float, size: Size = _norm) -> np.ndarray:
    return array * min(1.0, limit / (size(array) + eps or 1.0))


def _limit_of_each(raw: Arrays, applied: Arrays) -> tuple[float, str]:
    """Returns the norm to which PyTorch's step clips tensors by themselves, or some together; 0 where it does not."""
    names = [name for name in applied if name in raw]
    sizes = {name: slope(applied[name].ravel(), raw[name].ravel()) for name in names}
    theirs = [applied[name] for name in names]
    if len(applied) < 2 or distance([sizes[name] * raw[name] for name in names], theirs, theirs) > 1e-9:
        return 0.0, ""
    groups = _together(sizes)
    for eps in (EPS, 0.0) if groups else ():
        limits = [_norm_of(applied, group) * (1 + eps / _norm_of(raw, group)) for group in groups]
        if np.ptp(limits) < 1e-9 * limits[0]:
            return float(f"{limits[0]:.9g}"), _each_of(groups)
    return 0.0, ""


def _together(factors: dict[str, float]) -> list[list[str]]:
    """Returns the tensors whose gradients were made smaller, those by one factor together."""
    groups: list[list[str]] = []
    for name in sorted((name for name in factors if 0 < factors[name] < 1 - 1e-9), key=factors.__getitem__):
        if groups and factors[name] - factors[groups[-1][0]] < 1e-9 * factors[name]:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def _norm_of(gradients: Arrays, names: list[str]) -> float:
    return norm({name: gradients[name] for name in names})


def _each_of(groups: list[list[str]]) -> str:
    """Returns in words what is clipped by itself."""
    shared = next((group for group in groups if len(group) > 1), None)
    return f"tensors of a layer, {listed(shared)}, together and by themselves" if shared else "each tensor by itself"


def _limit_of_numbers(raw: Arrays, applied: Arrays) -> float:
    """Returns the magnitude to which PyTorch's step clips every number; 0 where it does not."""
    largest, limit = (
        max((float(np.max(np.abs(x), initial=0.0)) for x in xs.values()), default=0.0) for xs in (raw, applied)
    )
    names = [name for name in applied if name in raw]
    theirs, bounded = [applied[name] for name in names], [np.clip(raw[name], -limit, limit) for name in names]
    return (
        float(f"{limit:.9g}") if 0 < limit < largest * (1 - 1e-9) and distance(bounded, theirs, theirs) < 1e-9 else 0.0
    )


def _shown(replay: Replay, size: Size) -> list[float]:
    """Returns the one size that Flax's gradients have, of all tensors that are smaller than PyTorch's: a limit."""
    factors = {name: factor for name, factor in replay.factors.items() if name in replay.raw}
    ours = {name: factor * size(replay.applied[name]) for name, factor in factors.items()}
    smaller = [name for name in ours if ours[name] < size(replay.raw[name]) * (1 - 1e-9)]
    limits = [[ours[name] * (1 + eps / size(replay.raw[name])) for name in smaller] for eps in (EPS, 0.0)]
    return [each[0] for each in limits if each and np.ptp(each) < 1e-8 * each[0] and is_round(each[0])]


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


def clipped_later(replay: Replay) -> Iterator[Trial]:
    """Yields the updates clipped, in place of the gradient."""
    most = replay.max_norm
    rates = set(replay.outcome.seen.rates) or {1.0}
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
