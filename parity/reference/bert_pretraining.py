"""BERT's pretraining: masked words and next sentences together (book, section 15.10)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from parity.reference.losses import cross_entropy

Tensors = dict[str, Any]


@dataclass(frozen=True)
class Pretraining:
    """An objective: the loss of the masked words plus that of the next sentence (section 15.10)."""

    loss: Callable[..., Tensor]
    penalty: None = None

    def __call__(self, nets: Any, tensors: Tensors) -> tuple[Tensor, Tensors]:
        """Returns the loss, and {"encoded", "mlm_output", "nsp_output", "mlm_loss", "nsp_loss"}."""
        labels, weights, nsp_labels = tensors["targets"]
        encoded, mlm_output, nsp_output = nets(*tensors["input"])
        mlm_loss = self.loss(mlm_output, labels, weights)
        nsp_loss = cross_entropy(nsp_output, nsp_labels.long())
        more = {
            "encoded": encoded,
            "mlm_output": mlm_output,
            "nsp_output": nsp_output,
            "mlm_loss": mlm_loss,
            "nsp_loss": nsp_loss,
        }
        return mlm_loss + nsp_loss, more


@dataclass(frozen=True)
class Pretrained:
    """An evaluation: the same, and its loss."""

    loss: Callable[..., Tensor]

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns {"encoded", "mlm_output", "nsp_output", "mlm_loss", "nsp_loss", "loss"}."""
        loss, more = Pretraining(self.loss)(nets, tensors)
        return more | {"loss": loss}
