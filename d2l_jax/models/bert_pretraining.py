"""BERT's pretraining: masked words and next sentences together (book, section 15.10)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array

from d2l_jax.losses import cross_entropy

Tensors = dict[str, Any]


@dataclass(frozen=True)
class Pretraining:
    """An objective: the loss of the masked words plus that of the next sentence (section 15.10).

    "input" is (tokens, segments, valid lengths, positions of the masked words), "targets" (the words, the weights of
    their slots, whether the second sentence is the next).

    loss:    (scores of words, words, weights) -> scalar, `d2l_jax.losses.masked_word_loss`
    penalty: nothing
    """

    loss: Callable[..., Array]
    penalty: None = None

    def __call__(self, nets: Any, tensors: Tensors) -> tuple[Array, Tensors]:
        """Returns the loss, and {"encoded", "mlm_output", "nsp_output", "mlm_loss", "nsp_loss"}."""
        labels, weights, nsp_labels = tensors["targets"]
        encoded, mlm_output, nsp_output = nets(*tensors["input"])
        mlm_loss = self.loss(mlm_output, labels, weights)
        nsp_loss = cross_entropy(nsp_output, nsp_labels)
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

    loss: Callable[..., Array]

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns {"encoded", "mlm_output", "nsp_output", "mlm_loss", "nsp_loss", "loss"}."""
        loss, more = Pretraining(self.loss)(nets, tensors)
        return more | {"loss": loss}


def draw_pretraining(random: np.random.Generator) -> Tensors:
    """Draws 5 pairs of up to 7 tokens out of 23, with up to 3 masked words each, for `Pretraining`.

    The first has a single token and nothing masked, the second all 7 tokens; padded slots have position, word and
    weight 0.
    """
    lengths = np.array([1, 7, *random.integers(2, 7, 3)], np.int32)
    tokens = random.integers(1, 23, (5, 7), np.int32) * (np.arange(7) < lengths[:, None])
    segments = (np.arange(7) >= (lengths[:, None] + 1) // 2) & (np.arange(7) < lengths[:, None])
    counts = np.minimum(lengths - 1, [0, 3, 1, 2, 3])
    weights = (np.arange(3) < counts[:, None]).astype(np.float32)
    chosen = [np.sort(random.permutation(np.arange(1, length))[:3]) for length in lengths]
    positions = np.stack([np.resize(np.append(each, 0), 3) for each in chosen])
    labels = random.integers(1, 23, (5, 3)) * weights
    inputs = (tokens.astype(np.int32), segments.astype(np.int32), lengths, (positions * weights).astype(np.int32))
    return {"input": inputs, "targets": (labels.astype(np.int32), weights, random.integers(0, 2, 5, np.int32))}
