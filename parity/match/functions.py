"""Dense layers as functions that PyTorch's model calls, also with the weight of a module that is itself not called.

Their bias may be a parameter of another module, or several that are put together, with zeros between them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch


class Dense(NamedTuple):
    """A call, in numpy."""

    input: np.ndarray
    bias: np.ndarray | None
    output: np.ndarray


@contextmanager
def dense_calls() -> Iterator[dict[int, list[Dense]]]:
    """Yields the calls by the id of their weight, filled within."""
    calls: dict[int, list[Dense]] = {}
    stock = torch.nn.functional.linear

    def linear(input: torch.Tensor, weight: torch.Tensor, bias: Any = None) -> torch.Tensor:
        output = stock(input, weight, bias)
        call = Dense(_numbers(input), None if bias is None else _numbers(bias), _numbers(output))
        calls.setdefault(id(weight), []).append(call)
        return output

    torch.nn.functional.linear = linear
    try:
        yield calls
    finally:
        torch.nn.functional.linear = stock


def _numbers(x: torch.Tensor) -> np.ndarray:
    return x.detach().clone().numpy()


def tensor_of(numbers: np.ndarray | None, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Returns {"bias": key} of the tensor that holds the numbers of a bias, which are random; {} where none does."""
    if numbers is None or not numbers.any():
        return {}
    return next(({"bias": key} for key, array in arrays.items() if np.array_equal(array, numbers)), {})
