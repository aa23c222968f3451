"""The objectives and the evaluation of `d2l_jax.turns`, under the same names, in PyTorch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

Tensors = dict[str, Any]


@dataclass(frozen=True)
class Supervised:
    """An objective: the loss of the outputs for "input" against "targets", and a penalty on the parameters."""

    loss: Callable[[Any, Any], Tensor]
    penalty: Callable[[dict[str, Tensor]], Tensor] | None = None

    def __call__(self, nets: nn.Module, tensors: Tensors) -> tuple[Tensor, Tensors]:
        """Returns (loss + penalty, {"output": the model's outputs})."""
        outputs = nets(*arguments(tensors["input"]))
        loss = self.loss(outputs, tensors["targets"])
        if self.penalty:
            loss = loss + self.penalty(dict(nets.named_parameters()))
        return loss, {"output": outputs}


@dataclass(frozen=True)
class Observed:
    """An evaluation: the outputs for "input", and their loss against "targets"."""

    loss: Callable[[Any, Any], Tensor]

    def __call__(self, nets: nn.Module, tensors: Tensors) -> Tensors:
        """Returns {"output": ..., "loss": ...}."""
        outputs = nets(*arguments(tensors["input"]))
        return {"output": outputs, "loss": self.loss(outputs, tensors["targets"])}


@dataclass(frozen=True)
class Both:
    """An evaluation of two parts."""

    first: Callable[[Any, Tensors], Tensors]
    second: Callable[[Any, Tensors], Tensors]

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns the tensors of either."""
        return self.first(nets, tensors) | self.second(nets, tensors)


def arguments(inputs: Any) -> tuple[Any, ...]:
    """Returns what a model is called with: several inputs stand in a tuple."""
    return inputs if isinstance(inputs, tuple) else (inputs,)
