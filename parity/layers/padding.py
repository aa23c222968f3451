"""Rows for padding of embeddings on their own: Flax may mask outside of the layer what PyTorch's layer leaves out."""

from collections.abc import Iterable

import numpy as np
import torch

from parity.arrays.key import Key, Record
from parity.layers.layer import Layer
from parity.twin.twin import Twin

NEAR = 1e-9


def masked_outside(twin: Twin, oracle: Record, flax: Record) -> dict[str, int]:
    """Returns {weight of an embedding: row for padding} of those to which Flax's whole model sends what PyTorch's does.

    That is nothing, as a rule.

    oracle, flax: of the steps that differ; where none does, gradients are alike
    """
    lookups = {
        f"{name}.weight": int(module.padding_idx)
        for name, module in twin.torch.model.named_modules()
        if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None
    }
    return {
        tensor: row
        for tensor, row in lookups.items()
        if all(_alike(oracle[key], flax[key], row) for key in _gradients(tensor, oracle, flax))
    }


def _gradients(tensor: str, oracle: Record, flax: Record) -> Iterable[Key]:
    return (key for key in oracle if key.phase == "gradients" and key.tensor == tensor and key in flax)


def _alike(theirs: np.ndarray, ours: np.ndarray, row: int) -> bool:
    gap = np.max(np.abs(theirs[row] - ours[row]), initial=0.0)
    return bool(gap <= NEAR * np.max(np.abs(theirs), initial=0.0))


def without_padding(layer: Layer, record: Record) -> Record:
    """Returns what Flax's layer gives but for what it sends to rows for padding that the model around it masks."""
    rows = {key: layer.padding.get(f"{layer.theirs.name}.{key.tensor}") for key in record if key.phase == "backward"}
    return record | {key: _cleared(record[key], row) for key, row in rows.items() if row is not None}


def _cleared(array: np.ndarray, row: int) -> np.ndarray:
    array = np.array(array)
    array[row] = 0
    return array
