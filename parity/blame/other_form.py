"""What Flax gives a layer in another form: a mask the other way round, other buckets of relative positions."""

import numpy as np
import torch

from parity.blame.diagnosis.cause import Cause
from parity.blame.diagnosis.functions.buckets import CAUSE, others
from parity.layers.received import Received


def explain_buckets(model: torch.nn.Module, received: Received) -> Cause | None:
    """Returns which other buckets Flax looks up; None where none gives exactly its numbers."""
    table = model.get_submodule(received.name)
    if not isinstance(table, torch.nn.Embedding) or (received.torch % 1).any():
        return None
    index = torch.as_tensor(received.torch.astype(np.int64))
    for text, other in others(index, table.num_embeddings):
        if np.array_equal(other.numpy(), received.flax):
            return Cause(CAUSE, text, 0.0)
    return None


def turned_mask(received: Received) -> Cause | None:
    """Returns that the mask of an attention is the other way round, if it is."""
    if received.torch.dtype != bool or not np.array_equal(received.torch, np.asarray(received.flax) == 0):
        return None
    text = f"Flax gives {received.label} the mask the other way round: true is masked in PyTorch, and seen in Flax"
    return Cause("mask-polarity", text, 0.0)
