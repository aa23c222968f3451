"""Why an update differs: PyTorch's optimiser with one option altered, until it takes Flax's step."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from d2l_jax.errors import InputError
from parity.blame.diagnosis import formulas
from parity.blame.diagnosis.cause import NOISE, Cause, agree, choose, distance
from parity.blame.diagnosis.factors import telling
from parity.blame.diagnosis.steps import Arrays, Change, Make, Ready, Step, ready, update
from parity.blame.diagnosis.tensors import explain_tensor
from parity.blame.diagnosis.threads import one_thread

# A name, a line for people, the update under this hypothesis.
Trial = tuple[str, str, Callable[[], list[np.ndarray]]]
Hypothesis = Callable[[Step, Ready], Iterator[Trial]]
NORMS = (1.0, 0.1, 0.25, 0.5, 2.0, 5.0, 10.0, 0.01)
EPS = (1e-8, 1e-6, 1e-7, 1e-10, 1e-5, 1e-3, 1e-12, 1e-16, 0.0)


@one_thread()
def explain_update(
    make: Make,
    before: Arrays,
    grads: Arrays,
    state: Mapping[str, Mapping[str, np.ndarray]],
    flax_update: Arrays,
    noise: float = NOISE,
) -> Cause | None:
    """The one option (or convention) under which PyTorch's optimiser takes Flax's step.

    make:          gives the optimiser for a list of tensors, in the order of `before`
    before, grads: {parameter: array}, all float64
    state:         {parameter: {slot: array}} before the step, PyTorch's slot names; empty before the first step
    flax_update:   {parameter: array after - before} from the same state and gradients

    Returns None where they agree, and where no hypothesis explains the difference. Raises InputError where
    parameters, gradients and updates do not match.
    """
    if set(flax_update) != set(before):
        names = sorted(set(flax_update) ^ set(before))
        raise InputError(f"flax_update and before differ in {', '.join(names)}; give every parameter in both")
    step = Step(make, before, grads, state)
    oracle = update(step)
    flax = [np.asarray(flax_update[name], np.float64) for name in before]
    if agree(oracle, flax, noise):
        return None
    found = choose(oracle, flax, _candidates(step), noise)
    return found or _one_factor(oracle, flax, noise) or _by_numbers(oracle, flax, noise)


def _candidates(step: Step) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """What each hypothesis gives; an optimiser that cannot run with the altered option is left out."""
    for hypothesis in HYPOTHESES:
        for name, text, taken in hypothesis(step, ready(step)):
            try:
                yield name, text, taken()
            except (RuntimeError, ValueError, KeyError, TypeError):
                continue


def _one_factor(oracle: list[np.ndarray], flax: list[np.ndarray], noise: float) -> Cause | None:
    """One factor for all parameters, such as another learning rate."""
    ours = np.concatenate([a.ravel() for a in oracle])
    theirs = np.concatenate([a.ravel() for a in flax])
    if ours.size < 3 or not ours.any():
        return None
    factor = float(np.vdot(ours, theirs) / np.vdot(ours, ours))
    known = telling(factor, ()) if factor else None
    text = f"Flax's step is {factor:.8g} times PyTorch's" + (f": {known[1]}" if known else "")
    return choose(oracle, flax, [("step-scale", text, [factor * a for a in oracle])], noise)


def _by_numbers(oracle: list[np.ndarray], flax: list[np.ndarray], noise: float) -> Cause | None:
    """The first parameter that differs, by its numbers alone."""
    for ours, theirs in zip(oracle, flax):
        if distance([ours], [theirs], [ours]) > 100 * noise:
            return explain_tensor(ours, theirs, noise)
    return None


def _first(about: Ready) -> dict[str, Any]:
    return about.optimizer.param_groups[0]


def _with(step: Step, **options: Any) -> Callable[[], list[np.ndarray]]:
    """The step with other options in every group."""

    def change(now: Ready) -> None:
        for group in now.optimizer.param_groups:
            group.update(options)
        if isinstance(now.optimizer, torch.optim.RMSprop) and "momentum" in options:
            _start_buffers(now.optimizer)

    return lambda: update(step, change)


def _start_buffers(optimizer: torch.optim.Optimizer) -> None:
    """RMSprop makes its buffers before the first step alone."""
    for parameter, slots in optimizer.state.items():
        slots.setdefault("momentum_buffer", torch.zeros_like(parameter))


def _after(step: Step, change: Change) -> Callable[[], list[np.ndarray]]:
    return lambda: update(step, change)


def rates(step: Step, about: Ready) -> Iterator[Trial]:
    own = float(_first(about)["lr"])
    for factor, what in ((2, "twice"), (0.5, "half"), (10, "ten times"), (0.1, "a tenth of")):

        def change(now: Ready, factor: float = factor) -> None:
            for group in now.optimizer.param_groups:
                group["lr"] = group["lr"] * factor

        yield "learning-rate", f"Flax's learning rate is {what} PyTorch's {own:g}", _after(step, change)
    text = "Flax goes up the gradient: the sign of the step is the opposite"
    yield "sign", text, lambda: update(step, _opposite)


def _opposite(now: Ready) -> None:
    for gradient in now.gradients.values():
        gradient.neg_()


def momentum(step: Step, about: Ready) -> Iterator[Trial]:
    group = _first(about)
    if "momentum" not in group:
        return
    own = group["momentum"]
    if own:
        yield "momentum-complement", f"Flax's momentum is {1 - own:g}, PyTorch's {own:g}", _with(step, momentum=1 - own)
        yield "momentum-missing", f"Flax has no momentum, PyTorch {own:g}", _with(step, momentum=0, nesterov=False)
        text = "Flax adds 1 - momentum of the gradient to the buffer, PyTorch all of it (dampening)"
        yield "dampening", text, lambda: update(step, _dampened)
        if group.get("dampening"):
            yield "dampening", "Flax does not dampen", _with(step, dampening=0)
        if "nesterov" in group:
            new = not group["nesterov"]
            text = f"Flax {'looks' if new else 'does not look'} ahead (Nesterov)"
            yield "nesterov", text, _with(step, nesterov=new)
    for value in (0.9, 0.99, 0.5, 0.95):
        if value != own:
            yield "momentum", f"Flax's momentum is {value:g}, PyTorch's {own:g}", _with(step, momentum=value)


def _dampened(now: Ready) -> None:
    """PyTorch's first buffer is the gradient undampened; here the first is dampened too."""
    for group in now.optimizer.param_groups:
        for parameter in group["params"]:
            slots = now.optimizer.state[parameter]
            if slots.get("momentum_buffer") is None:
                slots["momentum_buffer"] = torch.zeros_like(parameter)
        group["dampening"] = group["momentum"]


def weight_decay(step: Step, about: Ready) -> Iterator[Trial]:
    group = _first(about)
    if "weight_decay" not in group:
        return
    own = group["weight_decay"]
    decoupled = group.get("decoupled_weight_decay", isinstance(about.optimizer, torch.optim.AdamW))
    if own:
        yield "weight-decay-missing", f"Flax has no weight decay, PyTorch {own:g}", _with(step, weight_decay=0)
        name, text = (
            ("weight-decay-l2", "Flax adds weight decay to the gradient, PyTorch decays the weights (AdamW)")
            if decoupled
            else ("weight-decay-decoupled", "Flax decays the weights (AdamW), PyTorch adds to the gradient (L2)")
        )
        yield name, text, _after(step, _into_gradient if decoupled else _into_weights)
        text = "Flax decays weights by weight_decay, not by lr * weight_decay"
        yield "weight-decay-unscaled", text, _after(step, _unscaled_decay)
        text = "Flax does not decay biases and norms (vectors), PyTorch does"
        yield "weight-decay-on-bias", text, lambda: _spared(step, lambda array: array.ndim <= 1)
        text = "Flax decays biases and norms (vectors) alone"
        yield "weight-decay-on-bias", text, lambda: _spared(step, lambda array: array.ndim > 1)
        for factor, what in ((0.5, "half"), (2.0, "twice")):
            text = f"Flax's weight decay is {what} PyTorch's {own:g}"
            yield "weight-decay", text, _with(step, weight_decay=own * factor)
    for value in (1e-4, 1e-2, 5e-4, 1e-3, 1e-1):
        if value != own:
            text = f"Flax's weight decay is {value:g}, PyTorch's {own:g}"
            yield "weight-decay", text, _with(step, weight_decay=value)


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


def _no_decay(now: Ready) -> None:
    for group in now.optimizer.param_groups:
        group["weight_decay"] = 0.0


def _spared(step: Step, spared: Callable[[np.ndarray], bool]) -> list[np.ndarray]:
    """Some parameters without decay, the others with it."""
    pairs = zip(step.before.values(), update(step), update(step, _no_decay))
    return [without if spared(array) else decayed for array, decayed, without in pairs]


def betas(step: Step, about: Ready) -> Iterator[Trial]:
    group = _first(about)
    if "betas" not in group:
        return
    one, two = group["betas"]
    yield "betas-exchanged", f"Flax's betas are exchanged: ({two:g}, {one:g})", _with(step, betas=(two, one))
    others = [(one, b) for b in (0.99, 0.999, 0.95, 0.98)] + [(b, two) for b in (0.5, 0.0, 0.9, 0.99, 0.95)]
    for pair in (*others, (0.9, 0.999), (0.9, 0.99), (1 - one, two), (one, 1 - two)):
        if pair != (one, two):
            text = f"Flax's betas are ({pair[0]:g}, {pair[1]:g}), PyTorch's ({one:g}, {two:g})"
            yield "betas", text, _with(step, betas=pair)
    if "amsgrad" in group:
        new = not group["amsgrad"]
        text = f"Flax {'takes' if new else 'does not take'} the largest second moment so far (AMSGrad)"
        yield "amsgrad", text, lambda: update(step, lambda now: _amsgrad(now, new))


def _amsgrad(now: Ready, on: bool) -> None:
    for group in now.optimizer.param_groups:
        group["amsgrad"] = on
        for parameter in group["params"]:
            slots = now.optimizer.state[parameter]
            if on and slots and "max_exp_avg_sq" not in slots:
                slots["max_exp_avg_sq"] = slots["exp_avg_sq"].clone()


def eps(step: Step, about: Ready) -> Iterator[Trial]:
    own = _first(about).get("eps")
    if not isinstance(own, float):
        return
    for value in EPS:
        if value != own:
            text = f"Flax computes with eps={value:g} where PyTorch has {own:g}"
            yield "eps", text, _with(step, eps=value)


def adam(step: Step, about: Ready) -> Iterator[Trial]:
    if type(about.optimizer) not in (torch.optim.Adam, torch.optim.AdamW) or _first(about)["amsgrad"]:
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


def rmsprop(step: Step, about: Ready) -> Iterator[Trial]:
    if not isinstance(about.optimizer, torch.optim.RMSprop):
        return
    own = _first(about)

    def formula(**options: Any) -> Callable[[], list[np.ndarray]]:
        return lambda: _formula(formulas.rmsprop, step, about, options)

    yield "eps-in-root", "Flax adds eps under the root, PyTorch to it", formula(eps_inside=True)
    alphas = [value for value in (0.9, 0.99, 0.95, 0.999, 1 - own["alpha"]) if value != own["alpha"]]
    for alpha in alphas:
        text = f"Flax's decay (alpha) is {alpha:g}, PyTorch's {own['alpha']:g}"
        yield "alpha", text, formula(alpha=alpha)
        yield "alpha+eps-in-root", f"{text}; eps under the root", formula(alpha=alpha, eps_inside=True)
    for value in (1e-6, 1e-8, 1e-7, 1e-10):
        text = f"Flax adds eps={value:g} under the root, PyTorch {own['eps']:g} to it"
        yield "eps-in-root", text, formula(eps_inside=True, eps=value)
    centred = not own["centered"]
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


def adagrad(step: Step, about: Ready) -> Iterator[Trial]:
    if not isinstance(about.optimizer, torch.optim.Adagrad):
        return
    own = _first(about)

    def formula(**options: Any) -> Callable[[], list[np.ndarray]]:
        return lambda: _formula(formulas.adagrad, step, about, options)

    yield "eps-in-root", "Flax adds eps under the root, PyTorch to it", formula(eps_inside=True)
    given = own["initial_accumulator_value"]
    for start in (0.1, 0.0, 1.0):
        if start != given:
            text = f"Flax's accumulator starts at {start:g}, PyTorch's at {given:g}"
            yield "accumulator-start", text, formula(start=start)
            yield "accumulator-start+eps-in-root", f"{text}; eps under the root", formula(start=start, eps_inside=True)
            for value in (1e-7, 1e-6, 1e-8):
                both = f"{text}; eps={value:g} under the root, PyTorch adds {own['eps']:g} to it"
                yield "accumulator-start+eps-in-root", both, formula(start=start, eps_inside=True, eps=value)
    for value in (1e-7, 1e-6, 1e-8):
        text = f"Flax adds eps={value:g} under the root, PyTorch {own['eps']:g} to it"
        yield "eps-in-root", text, formula(eps_inside=True, eps=value)
    if own["lr_decay"]:
        yield (
            "lr-decay-missing",
            f"Flax's rate does not decay, PyTorch's does ({own['lr_decay']:g})",
            _with(step, lr_decay=0),
        )
    for by in (1, -1):
        text = f"Flax's count of steps is off by {by:+d}"
        yield "step-count", text, lambda by=by: update(step, lambda now: _counted(now, by))


def _counted(now: Ready, by: int) -> None:
    for slots in now.optimizer.state.values():
        if "step" in slots:
            slots["step"] = slots["step"] + by


def _formula(rule: Callable[..., np.ndarray], step: Step, about: Ready, options: dict[str, Any]) -> list[np.ndarray]:
    return [
        rule(w, np.asarray(step.grads[name], np.float64), step.state.get(name, {}), about.options(name), **options)
        for name, w in step.before.items()
    ]


def clipping(step: Step, about: Ready) -> Iterator[Trial]:
    """Gradients clipped in Flax alone, at round limits; or only by PyTorch, in a hook before the step."""
    if about.optimizer._optimizer_step_pre_hooks:
        text = "Flax leaves out what PyTorch's hook before the step does (clipping)"
        yield "clip-missing", text, _after(step, lambda now: now.optimizer._optimizer_step_pre_hooks.clear())
    total = float(np.sqrt(sum(np.sum(np.square(step.grads[name])) for name in step.before)))
    largest = max((float(np.max(np.abs(step.grads[name]), initial=0)) for name in step.before), default=0.0)
    for limit in NORMS:
        if total > limit:
            for tiny, note in ((0.0, ""), (1e-6, ", with 1e-6 added to the norm")):
                text = f"Flax clips the global norm of the gradients to {limit:g}{note}; PyTorch does not"
                yield "clip-norm", text, _after(step, lambda now, s=limit / (total + tiny): _scaled(now, s))
            text = f"Flax clips the norm of every gradient by itself to {limit:g}"
            yield "clip-per-parameter", text, _after(step, lambda now, limit=limit: _each(now, limit))
        if largest > limit:
            text = f"Flax clips every value of the gradients to {limit:g}; PyTorch does not"
            yield "clip-value", text, _after(step, lambda now, limit=limit: _by_value(now, limit))
    if len(step.before) > 1 and total:
        yield "clip-norm", "Flax scales all gradients to norm 1", _after(step, lambda now: _scaled(now, 1 / total))


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


def gradients(step: Step, about: Ready) -> Iterator[Trial]:
    """The gradient scaled before an optimiser that is not linear in it; the step missing altogether."""
    yield "step-missing", "Flax does not move at all", lambda: [np.zeros_like(w) for w in step.before.values()]
    text = "Flax steps without any state: as if every step were the first"
    if step.state:
        yield "state-lost", text, lambda: update(Step(step.make, step.before, step.grads, {}))
    rows = sorted({length for w in step.before.values() for length in w.shape if length > 1})
    for factor in (2.0, 0.5, *(1.0 / n for n in rows), *map(float, rows)):
        text = f"Flax's gradient is {factor:g} times PyTorch's"
        yield "gradient-scale", text, _after(step, lambda now, factor=factor: _scaled(now, factor))


HYPOTHESES: list[Hypothesis] = [
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
