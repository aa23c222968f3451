"""Hypotheses on the learning rate and on momentum."""

from collections.abc import Iterator, Mapping
from functools import partial

import torch

from parity.blame.diagnosis.optimizers.step import ObservedStep, Ready, update
from parity.blame.diagnosis.optimizers.trial import Trial, after, first_group, listed, with_options


def schedule(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """The rate of another step: a schedule that is off by one or more."""
    if not step.rates:
        return
    now = step.rates[step.number - 1]
    others = sorted(enumerate(step.rates, 1), key=lambda item: abs(item[0] - step.number))
    for number, rate in others:
        if now and rate != now:
            away = abs(number - step.number)
            when = f"{away} step{'s' * (away > 1)} {'late' if number < step.number else 'early'}"
            text = f"Flax's learning rate of step {step.number} is that of PyTorch's step {number}, {rate:.6g}"
            text += f", where PyTorch has {now:.6g}: the schedule is {when}" + ", or there is none" * (number == 1)
            yield "learning-rate", text, after(step, partial(_times, rate / now))


def other_rate(factor: float, step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """The rate that the factor between the steps asks for; where nothing says that it is the rate, a round one."""
    lr = float(first_group(about)["lr"])
    varying = len(set(step.rates)) > 1 or step.number > 1
    if factor > 0 and (varying or is_round(factor * lr)):
        text = f"Flax's learning rate is {factor * lr:.6g}, {factor:.6g} times PyTorch's {lr:.6g}"
        text += f": another rate at step {step.number}, another schedule" if varying else ""
        yield "learning-rate", text, after(step, partial(_times, factor))


def tensor_rates(factors: Mapping[str, float], step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """Rates that differ for some of the tensors, as the factors between the steps ask for them.

    factors: by parameter
    """
    named: dict[str, list[str]] = {}
    for name, factor in factors.items():
        lr = float(about.options(name)["lr"])
        if step.before[name].size == 1 and not is_round(factor * lr):  # a single number is always a multiple
            return
        if abs(factor - 1) > 1e-8:
            named.setdefault(f"{factor * lr:.6g}, PyTorch's {lr:.6g}", []).append(name)
    if not named or min(factors.values()) <= 0:
        return
    words = [f"for {listed(names)} {rates}" for rates, names in named.items()]
    yield "learning-rate-of-group", f"Flax's learning rate is {'; '.join(words)}", after(step, partial(_each, factors))


def own_factors(factors: Mapping[str, float], about: Ready) -> bool:
    """Tells whether all tensors of one group have factors of their own that nobody has written."""
    values = list(factors.values())
    alike = any(abs(one - other) <= 1e-8 * abs(one) for at, one in enumerate(values) for other in values[at + 1 :])
    rates = [factor * float(about.options(name)["lr"]) for name, factor in factors.items()]
    return len(values) > 2 and not alike and not any(map(is_round, rates)) and len(about.optimizer.param_groups) == 1


def by_norms(factors: Mapping[str, float]) -> tuple[str, str]:
    """Returns the cause, and the line for people, of such factors."""
    shown = ", ".join(f"{factor:.6g} for {name}" for name, factor in list(factors.items())[:4])
    text = f"Flax's step of each tensor is another multiple of PyTorch's, {shown}"
    return "step-scale-of-each", f"{text}: a ratio of norms (LAMB's, LARS's) is computed otherwise, or left out"


def _each(factors: Mapping[str, float], now: Ready) -> None:
    """Makes every tensor a group of its own, with its own rate."""
    groups = [(name, now.options(name), tensor) for name, tensor in now.tensors.items()]
    now.optimizer.param_groups = [
        group | {"params": [tensor], "lr": group["lr"] * factors[name]} for name, group, tensor in groups
    ]


def is_round(number: float) -> bool:
    """Tells whether somebody may have written the number: it has three digits at most."""
    return abs(float(f"{number:.3g}") - number) <= 1e-8 * abs(number)


def _times(factor: float, now: Ready) -> None:
    for group in now.optimizer.param_groups:
        group["lr"] = group["lr"] * factor


def rates(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """A different learning rate, or the opposite sign."""
    lr = float(first_group(about)["lr"])
    for factor, what in ((2, "twice"), (0.5, "half"), (10, "ten times"), (0.1, "a tenth of")):
        yield "learning-rate", f"Flax's learning rate is {what} PyTorch's {lr:g}", after(step, partial(_times, factor))
    text = "Flax goes up the gradient: the sign of the step is the opposite"
    yield "sign", text, lambda: update(step, _opposite)


def _opposite(now: Ready) -> None:
    for gradient in now.gradients.values():
        gradient.neg_()


def momentum(step: ObservedStep, about: Ready) -> Iterator[Trial]:
    """No momentum, another, dampened, or Nesterov's."""
    group = first_group(about)
    if "momentum" not in group:
        return
    current = group["momentum"]
    if current:
        text = f"Flax's momentum is {1 - current:g}, PyTorch's {current:g}"
        yield "momentum-complement", text, with_options(step, momentum=1 - current)
        if "momentum_buffer" not in step.slots:
            text = f"Flax has no momentum, PyTorch {current:g}"
            yield "momentum-missing", text, with_options(step, momentum=0, nesterov=False)
        text = "Flax adds 1 - momentum of the gradient to the buffer, PyTorch all of it (dampening)"
        yield "dampening", text, lambda: update(step, _dampened)
        if group.get("dampening"):
            yield "dampening", "Flax does not dampen", with_options(step, dampening=0)
        if "nesterov" in group:
            new = not group["nesterov"]
            text = f"Flax {'looks' if new else 'does not look'} ahead (Nesterov)"
            yield "nesterov", text, with_options(step, nesterov=new)
    for value in (0.9, 0.99, 0.5, 0.95):
        if value != current:
            yield (
                "momentum",
                f"Flax's momentum is {value:g}, PyTorch's {current:g}",
                with_options(step, momentum=value),
            )


def _dampened(now: Ready) -> None:
    """Dampens the first buffer too, which PyTorch does not."""
    for group in now.optimizer.param_groups:
        for parameter in group["params"]:
            slots = now.optimizer.state[parameter]
            if slots.get("momentum_buffer") is None:
                slots["momentum_buffer"] = torch.zeros_like(parameter)
        group["dampening"] = group["momentum"]
