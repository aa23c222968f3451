"""Continuous systems in steps: what is fed in by Euler's rule, or held for the length of a step."""

from collections.abc import Iterator

import torch
from torch.utils._pytree import tree_leaves

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

DISCRETISATION = "discretisation"
PRODUCTS = ("mul", "rmul", "outer")
RULES = {
    "1 + z (Euler)": lambda z: 1 + z,
    "(1 + z / 2) / (1 - z / 2) (bilinear)": lambda z: (1 + z / 2) / (1 - z / 2),
    "1 / (1 - z) (Euler, backwards)": lambda z: 1 / (1 - z),
}


def fed(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a product with the step dt, held for the step where the system decays by exp(dt A) in it."""
    decay = call.last("exp")
    exponent = decay and call.behind(decay.x)
    if exponent is None or exponent.name not in ("mul", "einsum") or decay is None:
        return
    z = decay.x
    if z.shape != call.result.shape or bool((z == 0).any()):
        return
    direct = _tensors(call)
    products = [x for factor in direct if (made := call.behind(factor)) and made.name == "mul" for x in _tensors(made)]
    steps = [x for x in _tensors(exponent) if x.ndim and len(x) == len(z)]  # the rates are of no example
    for factors, what in ((direct, "dt"), (products, "dt within a product")):
        if any(_same(step, factor) for step in steps for factor in factors):
            text = f"Flax holds what is fed in for a step, (exp(dt A) - 1) / A, PyTorch takes {what} (zero-order hold)"
            yield Alternative("zero-order-hold", text, lambda: call.result * _gained(z) / z)
            return


def held(call: FunctionCall) -> Iterator[Alternative]:
    """Yields Euler's dt for (exp(dt A) - 1) / A, what is held for a step."""
    gained = call.behind(call.x)
    if gained and gained.name == "mul":  # C (exp(dt A) - 1) / A
        made = (call.behind(factor) for factor in _tensors(gained))
        gained = next((factor for factor in made if factor and factor.name in ("sub", "expm1")), None)
    decay = gained if gained and gained.name == "expm1" else gained and gained.name == "sub" and call.behind(gained.x)
    if not decay or decay.name not in ("exp", "expm1"):
        return
    z = decay.x
    if z.shape == call.result.shape and not bool((z == 0).any()):
        text = "Flax takes dt for what is fed in, PyTorch (exp(dt A) - 1) / A, which holds it for a step"
        yield Alternative("zero-order-hold", text, lambda: call.result * z / _gained(z))


def decays(call: FunctionCall) -> Iterator[Alternative]:
    """Yields Euler's and the bilinear rule's decay for exp(z), of z = dt A or of several steps of it."""
    made = call.behind(call.x)
    if made is None or made.name not in (*PRODUCTS, "einsum") or not call.elementwise:
        return
    z, steps = call.x, None
    for x, n in (made.args[:2], made.args[1::-1]) if made.name in PRODUCTS else ():
        if isinstance(n, torch.Tensor) and n.ndim == 1 and torch.equal(n, torch.arange(len(n)).to(n)):
            z, steps = x, n
    for what, rule in RULES.items():
        text = f"Flax decays by {what} (in a step of A dt = z), PyTorch by exp(z): another discretisation"
        power = lambda rule=rule: rule(z) if steps is None else rule(z) ** steps  # noqa: E731
        yield Alternative(DISCRETISATION, text, power)


def bilinear(call: FunctionCall) -> Iterator[Alternative]:
    """Yields exp(z) for (1 + z / 2) / (1 - z / 2), and what is held for a step for dt / (1 - z / 2)."""
    above, below = (call.behind(x) for x in (*call.args, None)[:2])
    if below is None or below.name not in ("sub", "rsub"):
        return
    half = next((x for x in below.args[:2] if isinstance(x, torch.Tensor)), None)
    if half is None or 1 not in [x for x in below.args[:2] if not isinstance(x, torch.Tensor)]:
        return
    text = "Flax decays by exp(z) (in a step of A dt = z), PyTorch by the bilinear rule: another discretisation"
    if above and above.name in ("add", "radd") and any(_same(half, x) for x in _tensors(above)):
        yield Alternative(DISCRETISATION, text, lambda: torch.exp(2 * half))
    elif call.elementwise and half.shape == call.result.shape and not bool((half == 0).any()):
        yield Alternative(DISCRETISATION, text, lambda: call.x * _gained(2 * half) / (2 * half))


def _gained(z: torch.Tensor) -> torch.Tensor:
    return z.exp() - 1 if z.is_complex() else torch.expm1(z)


def _tensors(call: FunctionCall) -> list[torch.Tensor]:
    return [x for x in tree_leaves(call.args) if isinstance(x, torch.Tensor)]


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.numel() == second.numel() > 1 and bool(torch.equal(first.reshape(-1), second.reshape(-1)))
