"""What is heard of one step of PyTorch's while it runs."""

from dataclasses import dataclass, field
from typing import Any

import torch

from parity.arrays.key import Arrays


@dataclass
class Seen:
    """Events within one step of PyTorch's.

    passes:  the gradient that each backward pass added, by parameter, without the scale of a GradScaler
    away:    whether each of them was at other parameters than those of the start
    applied: the gradients that each call of the optimiser's step has met
    options: the optimiser's groups at that time, without their parameters
    optimizers, backward: which optimiser it was, and how many passes there had been
    before:  the parameters at the start
    """

    passes: list[Arrays] = field(default_factory=list)
    away: list[bool] = field(default_factory=list)
    applied: list[Arrays] = field(default_factory=list)
    options: list[list[dict[str, Any]]] = field(default_factory=list)
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)
    backward: list[int] = field(default_factory=list)
    before: Arrays = field(default_factory=dict)

    @property
    def beta(self) -> float:
        """Returns the largest decay of a moment whose bias is corrected, as Adam's; 0 where there is none."""
        betas = [beta for groups in self.options for group in groups for beta in group.get("betas", ())]
        return max((beta for beta in betas if isinstance(beta, float) and 0 < beta < 1), default=0.0)

    @property
    def rates(self) -> list[float]:
        """Returns each group's learning rate at the last update; [] where one has none, as of a user's optimiser."""
        groups = self.options[-1] if self.options else []
        return [float(group["lr"]) for group in groups] if all("lr" in group for group in groups) else []
