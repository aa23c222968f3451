"""The objectives and the evaluation of `d2l_jax.turns`, under the same names, in PyTorch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
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


@dataclass(frozen=True)
class Measured:
    """An evaluation, and what the metrics of an epoch are made of.

    measures: {name: tensors -> (sum, count), or None where there is nothing to count}
    """

    evaluation: Callable[[Any, Tensors], Tensors]
    measures: dict[str, Callable[[Tensors], tuple[Tensor, int | Tensor] | None]]

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns the tensors of the evaluation, and for each metric two numbers, "sum of ..." and "count of ..."."""
        results = self.evaluation(nets, tensors)
        observed = tensors | results
        for name, measure in self.measures.items():
            figures = measure(observed)
            if figures is not None:
                total, count = map(torch.as_tensor, figures)
                results = results | {f"sum of {name}": total, f"count of {name}": count}
        return results


def arguments(inputs: Any) -> tuple[Any, ...]:
    """Returns what a model is called with: several inputs stand in a tuple."""
    return inputs if isinstance(inputs, tuple) else (inputs,)
