"""Learning to rank: an item that a user has rated is to come before others (book, sections 21.5 to 21.7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

Tensors = dict[str, Any]


@dataclass(frozen=True)
class Ranked:
    """An objective: the scores of items against those of others (section 21.6).

    "input" is (user, ..., item), "targets" the items that are to come behind, int (batch, others), -1 where there are
    fewer. An example weighs as much whatever their number.

    loss:    (scores (batch, 1), scores of others (batch, others), weights of these) -> scalar, as
             `d2l_jax.losses.bpr_loss`
    penalty: nothing
    """

    loss: Callable[..., Array]
    penalty: None = None

    def __call__(self, nets: Any, tensors: Tensors) -> tuple[Array, Tensors]:
        """Returns the loss, and {"output": (batch,), "others": (batch, others)}, the scores."""
        *context, item = tensors["input"]
        targets = tensors["targets"]
        there = targets >= 0
        output = nets(*context, item).reshape(-1)
        others = nets(*context, jnp.maximum(targets, 0)).reshape(targets.shape)
        weight = there.astype(others.dtype) / there.sum(1, keepdims=True).astype(others.dtype)
        return self.loss(output[:, None], others, weight), {"output": output, "others": others}


@dataclass(frozen=True)
class RankedAmong:
    """An evaluation: the same, and its loss. With all other items as targets it is the mean loss of one drawn."""

    loss: Callable[..., Array]

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns {"output", "others", "loss"}."""
        loss, more = Ranked(self.loss)(nets, tensors)
        return more | {"loss": loss}
