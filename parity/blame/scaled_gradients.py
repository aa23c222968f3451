"""Gradients that behind one place are a multiple of PyTorch's, as of one that is reversed; all values agree."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from parity.blame.diagnosis.functions.hooked import hooked
from parity.blame.lines import line_of_caller

MOST_PLACES = 150
LEAST = 3  # numbers that tell a factor
EXACT = 1e-9
Gradients = list[np.ndarray]


class Flowing(TorchFunctionMode):
    """Within it, the places of a model's through which gradients flow back are listed, and one of them is cut.

    cut:    the place through which nothing is to flow back; "" for none. One that is met again, as in a loop, is both
            a place as a whole and one for each time
    places: each with the submodule that it is; functions that users have written the gradient of come first
    own:    the factors by which such functions multiply what flows back; not finite where it is none, or several
    """

    def __init__(self, model: torch.nn.Module, cut: str = ""):
        super().__init__()
        self.model = model
        self.cut = cut
        self.own: dict[str, float] = {}
        self._others: dict[str, str] = {}
        self._met: dict[str, list[Any]] = {}
        self._around: list[torch.nn.Module] = []

    @property
    def places(self) -> dict[str, str]:
        whole = dict.fromkeys(self.own, "") | self._others
        again = {label: len(nodes) for label, nodes in self._met.items() if len(nodes) > 1}
        return whole | {_at(label, turn): whole[label] for label, times in again.items() for turn in range(times)}

    def running(self) -> AbstractContextManager["Flowing"]:
        """Lets the model run within the block."""
        handles = []
        for name, module in self.model.named_modules():
            handles.append(module.register_forward_pre_hook(lambda module, args: self._around.append(module)))
            handles.append(
                module.register_forward_hook(
                    lambda _, __, output, name=name: self._leave(name, output), always_call=True
                )
            )
        return hooked(self, handles)

    def _leave(self, name: str, output: Any) -> None:
        self._around.pop()
        if name:
            self._meet(output, f"what {name} returns", name)

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        for x in tree_leaves(args):
            if isinstance(x, torch.Tensor) and isinstance(x.grad_fn, BackwardCFunction):
                self._written(x, x.grad_fn)
        result = func(*args, **(kwargs or {}))
        stock = self._around and type(self._around[-1]).__module__.startswith("torch.")
        if not stock and (line := line_of_caller()):
            self._meet(result, line)
        return result

    def _written(self, result: torch.Tensor, node: Any) -> None:
        """Meets the result of a function whose gradient is written by hand."""
        label = node.name().removesuffix("Backward")
        self.own.setdefault(label, np.nan)
        if not self._cut(result, label):
            return

        def passed(given: tuple, received: tuple) -> None:
            if len(received) and received[0] is not None and len(given) and given[0] is not None:
                factor, known = _factor(given[0], received[0]), self.own[label]
                self.own[label] = factor if np.isnan(known) or known == factor else np.inf  # it has several

        node.register_hook(passed)

    def _meet(self, value: Any, label: str, place: str = "") -> None:
        for x in tree_leaves(value):
            if isinstance(x, torch.Tensor) and x.grad_fn is not None:
                self._others.setdefault(label, place)
                self._cut(x, label)

    def _cut(self, tensor: torch.Tensor, label: str) -> bool:
        """Tells whether the place is met there for the first time: what one function gives another one is given."""
        nodes = self._met.setdefault(label, [])
        if any(node is tensor.grad_fn for node in nodes):
            return False
        nodes.append(tensor.grad_fn)
        if self.cut in (label, _at(label, len(nodes) - 1)):
            tensor.register_hook(torch.zeros_like)
        return True


def _at(label: str, turn: int) -> str:
    return f"{label} (call {turn + 1})"


def scaled_trials(
    model: torch.nn.Module, flax: Gradients, run: Callable[[Flowing], Gradients]
) -> Iterator[tuple[str, str, Gradients, str]]:
    """Yields PyTorch's loss and gradients with what flows back through one place multiplied as Flax's numbers tell."""
    seen = Flowing(model)
    whole = run(seen)
    for label, part in list(seen.places.items())[:MOST_PLACES]:
        rest = run(Flowing(model, cut=label))
        through = [all_of_it - other for all_of_it, other in zip(whole, rest, strict=True)]
        factor = _multiple([x - y for x, y in zip(flax, rest, strict=True)], through)
        if factor is not None:
            explained = [other + factor * back for other, back in zip(rest, through, strict=True)]
            yield "gradient-factor", _text(label, factor, seen.own.get(label, np.nan)), explained, part


def _text(label: str, factor: float, own: float) -> str:
    if np.isfinite(own) and own:
        told = f"{factor * own:.6g} times what is given to it in Flax, {own:.6g} times in PyTorch"
        return f"the gradient that flows back through {label} is {told}"
    return f"the gradient that flows back through {label} is {factor:.6g} times PyTorch's in Flax"


def _multiple(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> float | None:
    """Returns the factor that is nearest; None where too few numbers tell it."""
    if any(x.shape != y.shape for x, y in zip(ours, theirs, strict=True)):
        return None
    left, right = (np.concatenate([np.ravel(x) for x in arrays]) for arrays in (ours, theirs))
    if np.count_nonzero(right) < LEAST or not np.isfinite(left).all():
        return None
    return float(left @ right / (right @ right))


def _factor(given: torch.Tensor, received: torch.Tensor) -> float:
    """Returns which multiple the one is of the other; NaN where it is none."""
    if given.shape != received.shape or not bool(received.any()):
        return np.nan
    factor = float((given * received).sum() / (received * received).sum())
    exact = bool((given - factor * received).abs().max() <= EXACT * received.abs().max())
    return factor if exact else np.nan
