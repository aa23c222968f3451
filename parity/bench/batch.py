"""One batch of random numbers, as JAX takes it and as PyTorch takes it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from d2l_jax.functional import functional, train_view
from d2l_jax.turns import Tensors
from parity.models.random_numbers import requested


class Sample(NamedTuple):
    """Arrays of one batch as JAX takes them: float32, images channels last, labels and tokens int32."""

    inputs: tuple[np.ndarray, ...]
    targets: Any

    @property
    def tensors(self) -> Tensors:
        """Returns the arrays by name, as a training step takes them."""
        return {"input": self.inputs, "targets": self.targets}


def random_batch(case: Case, size: int, seed: int = 0) -> Sample:
    """Images in [0, 1], or normal inputs, with targets of the shape that the loss needs, or as the case draws them.

    Raises InputError where the case draws its batches itself.
    """
    if not case.arrays:
        raise InputError(f"{case.name} is called with no inputs; the bench times models that are")
    random = np.random.default_rng(seed)
    arrays = case.of_batch_size(size).arrays
    if case.arrays[0].is_image:
        inputs = (random.random(arrays[0].shape).astype(np.float32),)
    else:
        inputs = tuple(array.random(random) for array in arrays)
    if case.draw:
        drawn = case.draw(random)["targets"]
        return Sample(inputs, np.resize(drawn, (size, *drawn.shape[1:])))
    outputs = jax.eval_shape(lambda *X: _outputs(case, X), *inputs)
    if case.labels:
        return Sample(inputs, random.integers(0, outputs.shape[-1], outputs.shape[:-1], np.int32))
    targets = [random.normal(size=output.shape).astype(np.float32) for output in jax.tree.leaves(outputs)]
    return Sample(inputs, targets[0] if len(targets) == 1 else targets)


def _outputs(case: Case, inputs: tuple[Any, ...]) -> Any:
    apply, params, buffers = functional(train_view(case.build()))
    return apply(params, buffers, *inputs)[0]


def draws(model: nnx.Module, batch: Sample) -> bool:
    """Tells whether a training step draws random numbers (dropout)."""
    return bool(requested(*functional(train_view(model)), *batch.inputs))


def has_images(batch: Sample) -> bool:
    """Tells whether PyTorch can store an input in more than one memory layout."""
    return any(array.ndim == 4 for array in batch.inputs)


def floats_to(tree: Any, dtype: str) -> Any:
    """The floating-point arrays of a tree in `dtype`; all others as they are."""
    return jax.tree.map(lambda a: jnp.asarray(a, dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)


def torch_batch(batch: Sample, device: str, dtype: torch.dtype = torch.float32) -> tuple[tuple[torch.Tensor, ...], Any]:
    """The same numbers as PyTorch takes them: images channels first, labels and tokens int64."""
    inputs = tuple(_tensor(array, device, dtype) for array in batch.inputs)
    if isinstance(batch.targets, list):
        return inputs, [_tensor(array, device, dtype) for array in batch.targets]
    return inputs, _tensor(batch.targets, device, dtype)


def _tensor(array: np.ndarray, device: str, dtype: torch.dtype) -> torch.Tensor:
    tensor = torch.tensor(array, device=device)
    tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor.long()
    return tensor.permute(0, 3, 1, 2).contiguous() if tensor.ndim == 4 else tensor
