"""Schedules of Optax's that set the rates of PyTorch's optimisers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import torch


def rate_at(schedule: Callable[[int], Any], count: int) -> float:
    """Returns the rate of the update with that count, in float64."""
    with jax.enable_x64(True):  # or a rate of 0.1 would be that of float32
        return float(schedule(count))


class Rates:
    """A scheduler of PyTorch's that takes its rates from an Optax schedule."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Callable[[int], Any]):
        self.optimizer = optimizer
        self.schedule = schedule
        self.count = 0

    def step(self) -> None:
        """Sets the rate of the next update."""
        self.count += 1
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.schedule, self.count)

    def state_dict(self) -> dict[str, int]:
        """Returns how many updates there were; the rate itself is the optimiser's."""
        return {"count": self.count}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Goes back to that many updates."""
        self.count = state_dict["count"]


def scheduler_of(optimizer: Any) -> Callable[[torch.optim.Optimizer], Rates] | None:
    """Returns optimiser -> scheduler for the schedule that is bound to a factory; None where its rate is a number."""
    rate = optimizer.keywords.get("lr") if isinstance(optimizer, partial) else None
    return partial(Rates, schedule=rate) if callable(rate) else None
