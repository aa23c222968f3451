"""A trial: the step of PyTorch's optimiser under one hypothesis."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from parity.blame.diagnosis.optimizers.step import Alter, ObservedStep, Ready, update

# A name, a line for people, the update under this hypothesis.
Trial = tuple[str, str, Callable[[], list[np.ndarray]]]
Hypothesis = Callable[[ObservedStep, Ready], Iterator[Trial]]


def first_group(about: Ready) -> dict[str, Any]:
    """The options of the first group of parameters."""
    return about.optimizer.param_groups[0]


def with_options(step: ObservedStep, **options: Any) -> Callable[[], list[np.ndarray]]:
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


def after(step: ObservedStep, change: Alter) -> Callable[[], list[np.ndarray]]:
    """The step after `change` was made to what is about to step."""
    return lambda: update(step, change)


def listed(names: Sequence[str]) -> str:
    """Returns names in words, four at most."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
