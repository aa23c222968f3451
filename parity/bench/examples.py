"""The examples of an epoch, as both frameworks take them."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import TensorDataset

from d2l_jax.case import Case
from d2l_jax.data import Dataset
from d2l_jax.errors import InputError
from d2l_jax.turns import Tensors
from parity.bench.items import Items
from parity.sides.learner import torch_inputs

UNTIMED = ("segmentation", "boxes", "ranking")


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled images, uint8 (N, height, width, channels), or rows of numbers or tokens; all in memory.

    tensors: "input" and "targets", each an array or a tuple of arrays, N long
    """

    tensors: Tensors

    @classmethod
    def of(cls, case: Case, data: Dataset) -> "Examples":
        """Raises InputError where an epoch of this data is no lookup of rows, or the images have another shape."""
        X, y = data.train
        images = data.kind == "image"
        if data.kind in UNTIMED or data.sizes is not None or (images and "accuracy" not in case.metrics):
            right = "labelled images, or rows of numbers or tokens, are right"
            raise InputError(f"{case.name} cannot be trained by lookup on {data.name}: {right}")
        if images and X.shape[1:] != case.arrays[0].shape[1:]:
            right = f"labelled images of shape {case.arrays[0].shape[1:]} are right"
            raise InputError(f"{case.name} cannot be trained on {data.name}: {right}")
        return cls({"input": X, "targets": y})

    def __len__(self) -> int:
        return len(jax.tree.leaves(self.tensors["targets"])[0])

    def first(self, most: int | None) -> "Examples":
        """Returns the first so many examples, all for None. Raises InputError for less than one."""
        if most is None:
            return self
        if most < 1:
            raise InputError(f"--examples {most} is too small; give 1 or more")
        return Examples(jax.tree.map(lambda array: array[:most], self.tensors))

    def in_memory(self) -> Tensors:
        """PyTorch's tensors: images as floats in [0, 1], channels first; labels and tokens int64."""
        return tree_map(_tensor, self.tensors)

    def items(self) -> TorchDataset:
        """The examples one by one, as people write it in PyTorch."""
        if self._images:
            return Items(self.tensors["input"], self.tensors["targets"])
        return TensorDataset(*tree_flatten(self.in_memory())[0])

    def named(self, batch: Any) -> Tensors:
        """Gives the parts of a DataLoader's batch the names, and the tuples, of `tensors`."""
        return tree_unflatten(list(batch), tree_flatten(self.tensors)[1])

    @property
    def _images(self) -> bool:
        return isinstance(self.tensors["input"], np.ndarray) and self.tensors["input"].ndim == 4


def _tensor(array: np.ndarray) -> torch.Tensor:
    tensor = torch_inputs(np.array(array))
    return tensor if tensor.is_floating_point() else tensor.long()
