"""Continuous systems in steps: what is fed in by Euler's rule, or held for the length of a step."""

from collections.abc import Iterator

import torch
from torch.utils._pytree import tree_leaves

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall


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
            yield Alternative("zero-order-hold", text, lambda: call.result * torch.expm1(z) / z)
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
        yield Alternative("zero-order-hold", text, lambda: call.result * z / torch.expm1(z))


def _tensors(call: FunctionCall) -> list[torch.Tensor]:
    return [x for x in tree_leaves(call.args) if isinstance(x, torch.Tensor)]


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.numel() == second.numel() > 1 and bool(torch.equal(first.reshape(-1), second.reshape(-1)))
