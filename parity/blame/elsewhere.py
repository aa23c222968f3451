"""What Flax uses in a tensor's place, or beside it: something else that PyTorch's model computes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from parity.arrays.torch_arrays import to_numpy
from parity.blame.diagnosis.cause import NOISE, Cause, distance, explains
from parity.blame.lines import line_of_caller

MOST = 400  # results that are kept
Found = tuple[str, np.ndarray]


class Results(TorchFunctionMode):
    """Keeps, within it, what functions give of one number of numbers, with the line that asks for it.

    without: a submodule that hands on what it is given
    """

    def __init__(self, size: int, without: torch.nn.Module | None = None):
        super().__init__()
        self.size = size
        self.without = without
        self.found: list[tuple[str, torch.Tensor]] = []

    @contextmanager
    def running(self) -> Iterator["Results"]:
        """Lets the model run within the block."""
        handle = self.without and self.without.register_forward_hook(lambda module, args, output: args[0])
        try:
            with self:
                yield self
        finally:
            if handle:
                handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        numbers = isinstance(result, torch.Tensor) and result.is_floating_point() and result.numel() == self.size
        if numbers and len(self.found) < MOST and (line := line_of_caller()):
            self.found.append((line, result.detach().clone()))
        return result


def explain_elsewhere(
    oracle: np.ndarray, flax: np.ndarray, results: Results, turned: Callable[[np.ndarray], np.ndarray]
) -> Cause | None:
    """Returns which other result takes the tensor's place in Flax, or is added, subtracted, or a factor.

    turned: puts a result in the layout of what is compared
    """
    for words, other in _arrays(results, oracle.shape, turned):
        for text, explained in _trials(oracle, other):
            residual = distance([explained], [flax], [oracle])
            if explains(residual, distance([oracle], [flax], [oracle]), NOISE):
                return Cause("wiring", f"Flax {text.format(words)}", residual)
    return None


def explain_order(
    oracle: np.ndarray, flax: np.ndarray, results: Results, label: str, turned: Callable[[np.ndarray], np.ndarray]
) -> Cause | None:
    """Returns which function comes before a layer in Flax that is behind it in PyTorch.

    results: of a run without the layer
    """
    for words, other in _arrays(results, oracle.shape, turned):
        residual = distance([other], [flax], [oracle])
        if explains(residual, distance([oracle], [flax], [oracle]), NOISE):
            text = f"Flax gives {label} what {words} makes of it; PyTorch computes that behind {label}, not before"
            return Cause("order-exchanged", text, residual)
    return None


def _arrays(results: Results, shape: tuple[int, ...], turned: Callable[[np.ndarray], np.ndarray]) -> Iterator[Found]:
    for words, tensor in results.found:
        array = turned(to_numpy(tensor))
        if array.shape == shape and array.any() and np.isfinite(array).all():
            yield words, array


def _trials(oracle: np.ndarray, other: np.ndarray) -> Iterator[Found]:
    yield "has what {} gives in its place", other
    yield "adds what {} gives", oracle + other
    yield "subtracts what {} gives", oracle - other
    yield "multiplies by what {} gives", oracle * other
