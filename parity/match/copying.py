"""The arrays of PyTorch's calls as they were, whatever a model changes in place later."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from parity.models.calls import TorchCall
from parity.models.packed import Packed, first_packed, padded


@contextmanager
def copying(model: torch.nn.Module, calls: list[TorchCall]) -> Iterator[None]:
    """Copies the arrays of `calls`, so that operations in place do not change them later."""
    stack: list[TorchCall] = []

    def enter(module: torch.nn.Module, args: tuple, kwargs: dict) -> None:
        call = calls[-1]
        call.args = _copied(args)
        call.kwargs = _copied(kwargs)
        stack.append(call)

    def leave(module: torch.nn.Module, args: tuple, output: Any) -> None:
        call = stack.pop()
        call.output = _copied(padded(output, first_packed((call.args, call.kwargs))))

    handles = [m.register_forward_pre_hook(enter, with_kwargs=True) for m in model.modules()]
    handles += [m.register_forward_hook(leave) for m in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(v) for key, v in value.items()}
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        value = padded(value)
    if isinstance(value, Packed):
        return value._replace(values=value.values.detach().clone())
    return tuple(map(_copied, value)) if isinstance(value, tuple | list) else value
