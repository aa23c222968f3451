"""Gradients that PyTorch's model writes by hand, in a torch.autograd.Function: they need not be derivatives."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch

from parity.blame.diagnosis.calls import UNFIT, Call, run


def derived(call: Call) -> Iterator[tuple[str, str, Call]]:
    """The derivatives of what such functions compute forward, in place of the gradients that they write."""
    seen: list[type] = []
    if not call.gradients or call.cotangent is None:
        return
    try:
        with _differentiated(seen):
            run(call)
    except UNFIT:  # a function that no derivative goes through
        return
    if seen:
        names = ", ".join(dict.fromkeys(f"{function.__name__}.backward" for function in seen))
        text = f"PyTorch's gradient is written by hand, {names}, and is no derivative of what it computes; Flax's is"
        yield "written-gradient", text, replace(call, within=lambda module: _differentiated([]))


@contextmanager
def _differentiated(seen: list[type]) -> Iterator[None]:
    """Differentiates within the block what functions of users' own compute forward, and lists them."""
    stock = vars(torch.autograd.Function)["apply"]

    def apply(function: Any, *args: Any, **kwargs: Any) -> Any:
        if function.__module__.partition(".")[0] == "torch":
            return stock.__get__(None, function)(*args, **kwargs)
        seen.append(function)
        alone = function.setup_context is not torch.autograd.Function.setup_context
        return function.forward(*(() if alone else (_context(),)), *args, **kwargs)

    torch.autograd.Function.apply = classmethod(apply)  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.autograd.Function.apply = stock  # type: ignore[assignment]


def _context() -> SimpleNamespace:
    """Returns what a function keeps for its backward pass, which is not taken."""
    names = "save_for_backward", "save_for_forward", "mark_dirty", "mark_non_differentiable", "set_materialize_grads"
    return SimpleNamespace(**dict.fromkeys(names, lambda *args: None))
