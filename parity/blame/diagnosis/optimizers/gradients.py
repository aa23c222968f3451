"""Hypotheses on what the optimiser is given: gradients clipped or scaled, no state, no step at all."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from parity.blame.diagnosis.optimizers.limits import shown_limits
from parity.blame.diagnosis.optimizers.rate import is_round
from parity.blame.diagnosis.optimizers.step import ObservedStep, Ready, ready, update
from parity.blame.diagnosis.optimizers.trial import Trial, after

NORMS = (1.0, 0.1, 0.25, 0.5, 2.0, 5.0, 10.0, 0.01)


def clipping(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """Gradients clipped otherwise than PyTorch's hook before the step does, or on one side alone."""
    pytorch_limit = _limit(step)
    theirs = "PyTorch does not"
    limits = NORMS
    if about.optimizer._optimizer_step_pre_hooks:
        text = "Flax leaves out what PyTorch's hook before the step does (clipping)"
        yield "clip-missing", text, after(step, lambda now: now.optimizer._optimizer_step_pre_hooks.clear())
        theirs = "PyTorch's hook does something else"
    if pytorch_limit:
        text = f"Flax clips the global norm of the gradients to {pytorch_limit:.6g} without the 1e-6 that PyTorch's"
        text += " clip_grad_norm_ adds to the norm"
        yield "clip-eps", text, after(step, lambda now: _scaled(now, pytorch_limit / step.norm))
        theirs = f"PyTorch clips their global norm to {pytorch_limit:.6g}"
        limits = (pytorch_limit, *NORMS)
    yield from _clipped(step, limits, theirs)
    if len(step.before) > 1 and step.norm:
        yield "clip-norm", "Flax scales all gradients to norm 1", after(step, lambda now: _scaled(now, 1 / step.norm))


def shown_clipping(flax: Sequence[np.ndarray], step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """Clipping to the limit that Flax's step shows, of an optimiser whose step is linear in the gradient.

    flax: Flax's updates, in the order of `before`
    """
    still, once = update(step, lambda now: _scaled(now, 0.0)), update(step, _bare)
    moved = np.concatenate([(one - zero).ravel() for one, zero in zip(once, still)])
    if not np.any(moved):
        return
    factor = float(np.vdot(moved, np.concatenate([g.ravel() for g in step.grads.values()])) / np.vdot(moved, moved))
    limits = shown_limits([factor * (ours - zero) for ours, zero in zip(flax, still)], list(step.grads.values()))
    theirs = "PyTorch's hook does something else" if about.optimizer._optimizer_step_pre_hooks else "PyTorch does not"
    yield from _clipped(step, dict.fromkeys((*limits.numbers, *limits.norms)), theirs)


def _bare(now: Ready) -> None:
    now.optimizer._optimizer_step_pre_hooks.clear()


def clips(step: ObservedStep) -> bool:
    """Tells whether PyTorch's hook clips these gradients."""
    return _limit(step) > 0


def _limit(step: ObservedStep) -> float:
    """The norm to which PyTorch's hook clips these gradients, 0 where it does not."""
    now = ready(step)
    for hook in now.optimizer._optimizer_step_pre_hooks.values():
        hook(now.optimizer, (), {})
    clipped = float(np.sqrt(sum(float(gradient.square().sum()) for gradient in now.gradients.values())))
    factor = clipped / step.norm if step.norm else 1.0
    same = all(np.allclose(g.numpy(), factor * step.grads[name], rtol=1e-9) for name, g in now.gradients.items())
    limit = factor * (step.norm + 1e-6)
    return float(f"{limit:.9g}") if same and factor < 1 - 1e-9 else 0.0


def _clipped(step: ObservedStep, limits: Iterable[float], theirs: str) -> Iterator[Trial]:
    largest = max((float(np.max(np.abs(step.grads[name]), initial=0)) for name in step.before), default=0.0)
    for limit in limits:
        if step.norm > limit:
            for tiny, note in ((0.0, ""), (1e-6, ", with 1e-6 added to the norm")):
                text = f"Flax clips the global norm of the gradients to {limit:g}{note}; {theirs}"
                yield "clip-norm", text, after(step, lambda now, s=limit / (step.norm + tiny): _scaled(now, s))
            text = f"Flax clips the norm of every gradient by itself to {limit:g}; {theirs}"
            yield "clip-per-parameter", text, after(step, lambda now, limit=limit: _each(now, limit))
        if largest > limit:
            text = f"Flax clips every value of the gradients to {limit:g}; {theirs}"
            yield "clip-value", text, after(step, lambda now, limit=limit: _by_value(now, limit))
        text = f"Flax clips the global norm of the update, behind the optimiser, to {limit:g}; {theirs}"
        yield "clip-update", text, lambda limit=limit: _update_clipped(step, limit)


def other_norm(factor: float, step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """Clipping to the norm that the factor between the steps asks for, where somebody may have written it."""
    pytorch_limit = _limit(step)
    theirs = f"PyTorch to {pytorch_limit:.6g}" if pytorch_limit else "PyTorch does not"
    with_eps = pytorch_limit or step.norm
    for tiny, norm in ((0.0, with_eps * (step.norm / (step.norm + 1e-6) if pytorch_limit else 1.0)), (1e-6, with_eps)):
        limit = factor * norm
        if factor > 0 and is_round(limit) and limit < step.norm:
            text = f"Flax clips the global norm of the gradients to {limit:.4g}, {theirs}"
            yield "clip-norm", text, after(step, lambda now, s=limit / (step.norm + tiny): _scaled(now, s))


def _update_clipped(step: ObservedStep, limit: float) -> list[np.ndarray]:
    whole = update(step, lambda now: now.optimizer._optimizer_step_pre_hooks.clear())
    norm = float(np.sqrt(sum(np.sum(np.square(array)) for array in whole)))
    return [array * min(1.0, limit / norm) for array in whole] if norm > limit else []


def _scaled(now: Ready, factor: float) -> None:
    now.optimizer._optimizer_step_pre_hooks.clear()
    for gradient in now.gradients.values():
        gradient.mul_(factor)


def _each(now: Ready, limit: float) -> None:
    now.optimizer._optimizer_step_pre_hooks.clear()
    for gradient in now.gradients.values():
        norm = gradient.norm()
        if norm > limit:
            gradient.mul_(limit / norm)


def _by_value(now: Ready, limit: float) -> None:
    now.optimizer._optimizer_step_pre_hooks.clear()
    for gradient in now.gradients.values():
        gradient.clamp_(-limit, limit)


def gradients(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """The gradient scaled before an optimiser that is not linear in it; the step missing altogether."""
    yield "step-missing", "Flax does not move at all", lambda: [np.zeros_like(w) for w in step.before.values()]
    text = "Flax steps without any state: as if every step were the first"
    if step.state:
        yield "state-lost", text, lambda: update(ObservedStep(step.make, step.before, step.grads, {}))
    rows = sorted({length for w in step.before.values() for length in w.shape if length > 1})
    for factor in (2.0, 0.5, *(1.0 / n for n in rows), *map(float, rows)):
        text = f"Flax's gradient is {factor:g} times PyTorch's"
        yield "gradient-scale", text, after(step, lambda now, factor=factor: _scaled(now, factor))
