"""Learning to rank: an item that a user has rated is to come before others (book, sections 21.5 to 21.7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

Tensors = dict[str, Any]


@dataclass(frozen=True)
class Ranked:
    """An objective: the scores of items against those of others (section 21.6)."""

    loss: Callable[..., Tensor]
    penalty: None = None

    def __call__(self, nets: Any, tensors: Tensors) -> tuple[Tensor, Tensors]:
        """Returns the loss, and {"output": (batch,), "others": (batch, others)}, the scores."""
        *context, item = tensors["input"]
        targets = tensors["targets"]
        there = targets >= 0
        output = nets(*context, item).reshape(-1)
        others = nets(*context, targets.clamp(min=0)).reshape(targets.shape)
        weight = there.to(others.dtype) / there.sum(dim=1, keepdim=True)
        return self.loss(output[:, None], others, weight), {"output": output, "others": others}


@dataclass(frozen=True)
class RankedAmong:
    """An evaluation: the same, and its loss."""

    loss: Callable[..., Tensor]

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns {"output", "others", "loss"}."""
        loss, more = Ranked(self.loss)(nets, tensors)
        return more | {"loss": loss}
