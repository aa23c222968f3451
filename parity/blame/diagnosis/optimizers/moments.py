"""Hypotheses on optimisers that keep moments of the gradients: Adam, RMSprop and Adagrad."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.blame.diagnosis.optimizers import formulas
from parity.blame.diagnosis.optimizers.step import ObservedStep, Ready, update
from parity.blame.diagnosis.optimizers.trial import Trial, first_group, with_options

EPS = (1e-8, 1e-6, 1e-7, 1e-10, 1e-5, 1e-3, 1e-12, 1e-16, 0.0)


def betas(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """Other betas, or the largest second moment so far."""
    group = first_group(about)
    if "betas" not in group:
        return
    one, two = group["betas"]
    yield "betas-exchanged", f"Flax's betas are exchanged: ({two:g}, {one:g})", with_options(step, betas=(two, one))
    others = [(one, b) for b in (0.99, 0.999, 0.95, 0.98)] + [(b, two) for b in (0.5, 0.0, 0.9, 0.99, 0.95)]
    for pair in (*others, (0.9, 0.999), (0.9, 0.99), (1 - one, two), (one, 1 - two)):
        if pair != (one, two):
            text = f"Flax's betas are ({pair[0]:g}, {pair[1]:g}), PyTorch's ({one:g}, {two:g})"
            yield "betas", text, with_options(step, betas=pair)
    if "amsgrad" in group:
        new = not group["amsgrad"]
        if not new and "max_exp_avg_sq" in step.slots:
            text = "Flax takes the largest of the second moments corrected for their start at zero (optax.amsgrad),"
            text += " PyTorch of those that are not corrected"
            yield "amsgrad-corrected", text, partial(_formula, formulas.adam, step, about, {"largest": True})
        if new and "max_exp_avg_sq" in step.slots:
            text = "Flax takes the largest second moment so far (AMSGrad), of those corrected for their start at zero"
            text += " (optax.amsgrad); PyTorch takes the last one"
            yield "amsgrad-corrected", text, partial(_formula, formulas.adam, step, about, {"largest": True})
        text = f"Flax {'takes' if new else 'does not take'} the largest second moment so far (AMSGrad)"
        yield "amsgrad", text, lambda: update(step, lambda now: _amsgrad(now, new))


def _amsgrad(now: Ready, on: bool) -> None:
    for group in now.optimizer.param_groups:
        group["amsgrad"] = on
        for parameter in group["params"]:
            slots = now.optimizer.state[parameter]
            if on and slots and "max_exp_avg_sq" not in slots:
                slots["max_exp_avg_sq"] = slots["exp_avg_sq"].clone()


def momentum_schedule(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """NAdam without the schedule of its momentum, as Optax has it."""
    group = first_group(about)
    if not isinstance(about.optimizer, torch.optim.NAdam) or not group["momentum_decay"]:
        return

    def constant(now: Ready) -> None:
        for each in now.optimizer.param_groups:
            each["momentum_decay"] = math.inf
            for slots in filter(None, map(now.optimizer.state.get, each["params"])):
                slots["mu_product"] = torch.full_like(slots["mu_product"], each["betas"][0] ** float(slots["step"]))

    text = f"Flax's momentum is {group['betas'][0]:g} throughout (optax.nadam), PyTorch's has a schedule"
    yield "momentum-schedule", f"{text} (momentum_decay={group['momentum_decay']:g})", lambda: update(step, constant)


def eps(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """The usual values of eps."""
    pytorch_eps = first_group(about).get("eps")
    if not isinstance(pytorch_eps, float):
        return
    for value in EPS:
        if value != pytorch_eps:
            text = f"Flax computes with eps={value:g} where PyTorch has {pytorch_eps:g}"
            yield "eps", text, with_options(step, eps=value)


def adam(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """Adam with eps elsewhere, other bias corrections or another count of steps."""
    if type(about.optimizer) not in (torch.optim.Adam, torch.optim.AdamW) or first_group(about)["amsgrad"]:
        return

    def formula(**options: Any) -> Callable[[], list[np.ndarray]]:
        return lambda: _formula(formulas.adam, step, about, options)

    yield "eps-in-root", "Flax adds eps under the root, PyTorch to it", formula(eps_inside=True)
    text = "Flax adds eps before the second moment is corrected, PyTorch after"
    yield "eps-uncorrected", text, formula(eps_uncorrected=True)
    text = "Flax does not correct the moments for their start at zero"
    yield "bias-correction-missing", text, formula(corrected=(False, False))
    for corrected, which in (((True, False), "second"), ((False, True), "first")):
        text = f"Flax does not correct the {which} moment for its start at zero"
        yield "bias-correction-missing", text, formula(corrected=corrected)
    for later in (1, -1):
        yield "step-count", f"Flax's count of steps is off by {later:+d}", formula(later=later)
    text = "Flax computes the bias corrections 1 - beta^t in float32, PyTorch in double precision"
    yield "bias-correction-float32", text, formula(single=True)


def rmsprop(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """RMSprop with eps elsewhere, another decay, or centred."""
    if not isinstance(about.optimizer, torch.optim.RMSprop):
        return
    group = first_group(about)

    def formula(**options: Any) -> Callable[[], list[np.ndarray]]:
        return lambda: _formula(formulas.rmsprop, step, about, options)

    yield "eps-in-root", "Flax adds eps under the root, PyTorch to it", formula(eps_inside=True)
    alphas = [value for value in (0.9, 0.99, 0.95, 0.999, 1 - group["alpha"]) if value != group["alpha"]]
    for alpha in alphas:
        text = f"Flax's decay (alpha) is {alpha:g}, PyTorch's {group['alpha']:g}"
        yield "alpha", text, formula(alpha=alpha)
        yield "alpha+eps-in-root", f"{text}; eps under the root", formula(alpha=alpha, eps_inside=True)
    for value in (1e-6, 1e-8, 1e-7, 1e-10):
        text = f"Flax adds eps={value:g} under the root, PyTorch {group['eps']:g} to it"
        yield "eps-in-root", text, formula(eps_inside=True, eps=value)
    centred = not group["centered"]
    text = f"Flax {'subtracts' if centred else 'does not subtract'} the squared mean of the gradients (centred)"
    yield "centered", text, lambda: update(step, lambda now: _centre(now, centred))
    yield "accumulator-start", "Flax's average of squares starts at 1, PyTorch's at 0", formula(fresh=1.0)


def _centre(now: Ready, on: bool) -> None:
    for group in now.optimizer.param_groups:
        group["centered"] = on
        for parameter in group["params"]:
            slots = now.optimizer.state[parameter]
            if on and slots and "grad_avg" not in slots:
                slots["grad_avg"] = torch.zeros_like(parameter)


def adagrad(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """Adagrad with eps elsewhere, another start or another count of steps."""
    if not isinstance(about.optimizer, torch.optim.Adagrad):
        return
    group = first_group(about)

    def formula(**options: Any) -> Callable[[], list[np.ndarray]]:
        return lambda: _formula(formulas.adagrad, step, about, options)

    yield "eps-in-root", "Flax adds eps under the root, PyTorch to it", formula(eps_inside=True)
    initial = group["initial_accumulator_value"]
    for start in (0.1, 0.0, 1.0):
        if start != initial:
            text = f"Flax's accumulator starts at {start:g}, PyTorch's at {initial:g}"
            yield "accumulator-start", text, formula(start=start)
            yield "accumulator-start+eps-in-root", f"{text}; eps under the root", formula(start=start, eps_inside=True)
            for value in (1e-7, 1e-6, 1e-8):
                both = f"{text}; eps={value:g} under the root, PyTorch adds {group['eps']:g} to it"
                yield "accumulator-start+eps-in-root", both, formula(start=start, eps_inside=True, eps=value)
    for value in (1e-7, 1e-6, 1e-8):
        text = f"Flax adds eps={value:g} under the root, PyTorch {group['eps']:g} to it"
        yield "eps-in-root", text, formula(eps_inside=True, eps=value)
    if group["lr_decay"]:
        yield (
            "lr-decay-missing",
            f"Flax's rate does not decay, PyTorch's does ({group['lr_decay']:g})",
            with_options(step, lr_decay=0),
        )
    for by in (1, -1):
        text = f"Flax's count of steps is off by {by:+d}"
        yield "step-count", text, lambda by=by: update(step, lambda now: _counted(now, by))


def _counted(now: Ready, by: int) -> None:
    for slots in now.optimizer.state.values():
        if "step" in slots:
            slots["step"] = slots["step"] + by


def _formula(
    rule: Callable[..., np.ndarray], step: ObservedStep, about: Ready, options: dict[str, Any]
) -> list[np.ndarray]:
    slots = {name: {key: np.float64(x) for key, x in held.items()} for name, held in step.state.items()}
    return [
        rule(w, np.asarray(step.grads[name], np.float64), slots.get(name, {}), about.options(name), **options)
        for name, w in step.before.items()
    ]
