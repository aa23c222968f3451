"""Hypotheses on what the optimiser is given: gradients clipped or scaled, no state, no step at all."""

from collections.abc import Iterator

import numpy as np

from parity.blame.diagnosis.optimizers.step import ObservedStep, Ready, update
from parity.blame.diagnosis.optimizers.trial import Trial, after

NORMS = (1.0, 0.1, 0.25, 0.5, 2.0, 5.0, 10.0, 0.01)


def clipping(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """Gradients clipped in Flax alone, at round limits; or only by PyTorch, in a hook before the step."""
    if about.optimizer._optimizer_step_pre_hooks:
        text = "Flax leaves out what PyTorch's hook before the step does (clipping)"
        yield "clip-missing", text, after(step, lambda now: now.optimizer._optimizer_step_pre_hooks.clear())
    total = float(np.sqrt(sum(np.sum(np.square(step.grads[name])) for name in step.before)))
    largest = max((float(np.max(np.abs(step.grads[name]), initial=0)) for name in step.before), default=0.0)
    for limit in NORMS:
        if total > limit:
            for tiny, note in ((0.0, ""), (1e-6, ", with 1e-6 added to the norm")):
                text = f"Flax clips the global norm of the gradients to {limit:g}{note}; PyTorch does not"
                yield "clip-norm", text, after(step, lambda now, s=limit / (total + tiny): _scaled(now, s))
            text = f"Flax clips the norm of every gradient by itself to {limit:g}"
            yield "clip-per-parameter", text, after(step, lambda now, limit=limit: _each(now, limit))
        if largest > limit:
            text = f"Flax clips every value of the gradients to {limit:g}; PyTorch does not"
            yield "clip-value", text, after(step, lambda now, limit=limit: _by_value(now, limit))
    if len(step.before) > 1 and total:
        yield "clip-norm", "Flax scales all gradients to norm 1", after(step, lambda now: _scaled(now, 1 / total))


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
