"""Modes that look at a step's own functions, and leave PyTorch's own optimisers alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook


class ToldOfSteps(Protocol):
    """Anything that is told while one of PyTorch's own optimisers takes its step."""

    stepping: bool


@contextmanager
def told_of_steps(mode: ToldOfSteps) -> Iterator[None]:
    """Tells the mode within the block."""

    def enter(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        mode.stepping = type(optimizer).__module__.startswith("torch.")

    def leave(*_: Any) -> None:
        mode.stepping = False

    handles = [register_optimizer_step_pre_hook(enter), register_optimizer_step_post_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
