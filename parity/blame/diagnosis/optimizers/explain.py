"""Why an update differs: PyTorch's optimiser with one option altered, until it takes Flax's step."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from d2l_jax.errors import InputError
from parity.blame.diagnosis.cause import NOISE, Cause, agree, choose, distance
from parity.blame.diagnosis.factors import telling
from parity.blame.diagnosis.optimizers.decay import masks, weight_decay
from parity.blame.diagnosis.optimizers.gradients import clipping, clips, gradients, other_norm, shown_clipping
from parity.blame.diagnosis.optimizers.moments import adagrad, adam, betas, eps, momentum_schedule, rmsprop
from parity.blame.diagnosis.optimizers.rate import (
    by_norms,
    momentum,
    other_rate,
    own_factors,
    rates,
    schedule,
    tensor_rates,
)
from parity.blame.diagnosis.optimizers.step import Arrays, Make, ObservedStep, ready, update
from parity.blame.diagnosis.optimizers.trial import Hypothesis, first_group
from parity.blame.diagnosis.places import PLACES
from parity.blame.diagnosis.tensors import explain_tensor
from parity.blame.diagnosis.threads import one_thread

HYPOTHESES: list[Hypothesis] = [
    momentum_schedule,
    schedule,
    rates,
    momentum,
    weight_decay,
    betas,
    eps,
    adam,
    rmsprop,
    adagrad,
    clipping,
    gradients,
]


@one_thread()
def explain_update(
    make: Make,
    before: Arrays,
    grads: Arrays,
    state: Mapping[str, Mapping[str, np.ndarray]],
    flax_update: Arrays,
    noise: float = NOISE,
    number: int = 1,
    rates: tuple[float, ...] = (),
    slots: Collection[str] = (),
    by_numbers: bool = True,
) -> Cause | None:
    """The one option (or convention) under which PyTorch's optimiser takes Flax's step.

    make:          gives the optimiser for a list of tensors, in the order of `before`
    before, grads: {parameter: array}, all float64
    state:         {parameter: {slot: array}} before the step, PyTorch's slot names; empty before the first step
    flax_update:   {parameter: array after - before} from the same state and gradients
    number, rates: which step it is, from 1, and PyTorch's learning rates of all steps
    slots:         names of what Flax's optimiser holds, as PyTorch calls it; () where that is not known
    by_numbers:    what the numbers of an update look like may be told where no option explains it

    Returns None where they agree, and where no hypothesis explains the difference. Raises InputError where
    parameters, gradients and updates do not match.
    """
    if set(flax_update) != set(before):
        names = sorted(set(flax_update) ^ set(before))
        raise InputError(f"flax_update and before differ in {', '.join(names)}; give every parameter in both")
    step = ObservedStep(make, before, grads, state, number, rates, slots)
    oracle = update(step)
    flax = [np.asarray(flax_update[name], np.float64) for name in before]
    if agree(oracle, flax, noise):
        return None
    cause = choose(oracle, flax, _candidates(step), noise)
    shown = [partial(masks, flax), partial(shown_clipping, flax)]
    cause = cause or choose(oracle, flax, _candidates(step, shown), noise)
    cause = cause or _one_factor(step, oracle, flax, noise) or _a_factor_each(step, oracle, flax, noise)
    return cause or (_by_numbers(oracle, flax, noise) if by_numbers else None)


def _candidates(
    step: ObservedStep, hypotheses: Sequence[Hypothesis] = ()
) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """Computes the step of each hypothesis; an optimiser that cannot run with the altered option is left out."""
    for hypothesis in hypotheses or HYPOTHESES:
        try:
            trials = list(hypothesis(step, ready(step)))
        except KeyError:  # an optimiser of the user's, which has no such option
            continue
        for name, text, altered_update in trials:
            try:
                yield name, text, altered_update()
            except (ArithmeticError, RuntimeError, ValueError, KeyError, TypeError):
                continue


def _one_factor(step: ObservedStep, oracle: list[np.ndarray], flax: list[np.ndarray], noise: float) -> Cause | None:
    """Tries a single factor for all parameters: another learning rate, or gradients that were clipped or scaled."""
    ours = np.concatenate([a.ravel() for a in oracle])
    theirs = np.concatenate([a.ravel() for a in flax])
    if ours.size < 3 or not ours.any():
        return None
    factor = float(np.vdot(ours, theirs) / np.vdot(ours, ours))
    if not factor or not math.isfinite(factor):
        return None
    known = telling(factor, ())
    text = f"Flax's step is {factor:.8g} times PyTorch's" + (f": {known[1]}" if known else "")
    hypotheses = [partial(other_rate, factor), partial(other_norm, factor)]
    if clips(step):
        hypotheses.reverse()
    trials = [*_candidates(step, hypotheses)]
    return choose(oracle, flax, [*trials, ("step-scale", text, [factor * a for a in oracle])], noise)


def _a_factor_each(step: ObservedStep, oracle: list[np.ndarray], flax: list[np.ndarray], noise: float) -> Cause | None:
    """Tries a factor for each parameter: groups of them that learn at other rates."""
    sizes = [float(np.vdot(ours, ours)) for ours in oracle]
    if not all(sizes) or "lr" not in first_group(ready(step)):
        return None
    factors = [float(np.vdot(ours, theirs)) / size for ours, theirs, size in zip(oracle, flax, sizes)]
    named = dict(zip(step.before, factors))
    scaled = [factor * ours for factor, ours in zip(factors, oracle)]
    of_norms = [(*by_norms(named), scaled)] if own_factors(named, ready(step)) else []
    return choose(oracle, flax, [*of_norms, *_candidates(step, [partial(tensor_rates, named)])], noise)


def _by_numbers(oracle: list[np.ndarray], flax: list[np.ndarray], noise: float) -> Cause | None:
    """The first parameter that differs, by its numbers alone: it has no rows of a batch, and no border."""
    for ours, theirs in zip(oracle, flax):
        if distance([ours], [theirs], [ours]) > 100 * noise:
            cause = explain_tensor(ours, theirs, noise)
            return None if cause and cause.name in PLACES else cause
    return None
