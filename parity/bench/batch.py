"""One batch of random numbers, as JAX takes it and as PyTorch takes it."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from d2l_jax.case import Case, Input
from d2l_jax.cpu.compile import jit
from d2l_jax.data import kind_of
from d2l_jax.errors import InputError
from d2l_jax.functional import eval_view, functional, parts, train_view
from d2l_jax.turns import Tensors
from parity.models.random_numbers import requested


class Sample(NamedTuple):
    """Arrays of one batch by name, as JAX takes them: float32, images channels last, labels and tokens int32."""

    tensors: Tensors

    @property
    def inputs(self) -> tuple[np.ndarray, ...]:
        """Returns what the model is called with; nothing where an image is what learns."""
        return self.tensors.get("input", ())


def learns_image(case: Case) -> bool:
    """Tells whether the parameters are an image, which two pictures lead: style transfer."""
    return kind_of(case.data) == "pictures"


def random_batch(case: Case, size: int, seed: int = 0) -> Sample:
    """Images in [0, 1], or normal inputs, with targets of the shape that the loss needs, or as the case draws them.

    Style transfer has two pictures of the size of its image, whatever `size` says.

    Raises InputError where the case draws its batches itself, or several targets of which one has no input's shape.
    """
    random = np.random.default_rng(seed)
    if learns_image(case):
        image = case.args["image"]
        shape = (1, image["height"], image["width"], 3)
        return Sample({name: random.normal(size=shape).astype(np.float32) for name in ("content", "style")})
    if not case.arrays:
        raise InputError(f"{case.name} is called with no inputs; the bench times models that are")
    arrays = case.of_batch_size(size).arrays
    if case.arrays[0].is_image:
        inputs = (random.random(arrays[0].shape).astype(np.float32),)
    else:
        inputs = tuple(array.random(random) for array in arrays)
    if case.draw:
        drawn = case.draw(random)["targets"]
        if isinstance(drawn, tuple):
            return _sample(inputs, tuple(_as_an_input(case, target, arrays) for target in drawn))
        return _sample(inputs, np.resize(drawn, (size, *drawn.shape[1:])))
    outputs = jax.eval_shape(lambda *X: _outputs(case, X), *inputs)
    if case.labels:
        return _sample(inputs, random.integers(0, outputs.shape[-1], outputs.shape[:-1], np.int32))
    targets = [random.normal(size=output.shape).astype(np.float32) for output in jax.tree.leaves(outputs)]
    return _sample(inputs, targets[0] if len(targets) == 1 else targets)


def _as_an_input(case: Case, target: np.ndarray, arrays: tuple[Input, ...]) -> np.ndarray:
    """Returns one of several targets, drawn in the sizes of the check, in the size of the input that it goes with."""
    for probe, array in zip(case.probe_arrays, arrays, strict=True):
        if probe.shape == target.shape:
            return np.resize(target, array.shape)
    raise InputError(f"{case.name} draws targets of the check's sizes, {target.shape}, which are no input's")


def _sample(inputs: tuple[np.ndarray, ...], targets: Any) -> Sample:
    return Sample({"input": inputs, "targets": targets})


def led(case: Case, model: nnx.Module, tensors: Tensors) -> Tensors:
    """Returns the batch of a step: of style transfer what the image is led to, since no step computes it again."""
    if not learns_image(case):
        return tensors
    run, params, buffers = parts(eval_view(model))
    return jit(partial(run, case.observe))(params, buffers, tensors)[0]


def _outputs(case: Case, inputs: tuple[Any, ...]) -> Any:
    apply, params, buffers = functional(train_view(case.build()))
    return apply(params, buffers, *inputs)[0]


def draws(model: nnx.Module, batch: Sample) -> bool:
    """Tells whether a training step draws random numbers (dropout)."""
    return bool(batch.inputs and requested(*functional(train_view(model)), *batch.inputs))


def has_images(batch: Sample) -> bool:
    """Tells whether PyTorch can store an array in more than one memory layout."""
    return any(array.ndim == 4 for array in jax.tree.leaves(batch.tensors))


def floats_to(tree: Any, dtype: str) -> Any:
    """The floating-point arrays of a tree in `dtype`; all others as they are."""
    return jax.tree.map(lambda a: jnp.asarray(a, dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)


def torch_batch(batch: Sample, device: str, dtype: torch.dtype = torch.float32) -> Tensors:
    """The same numbers as PyTorch takes them: images channels first, labels and tokens int64."""
    return jax.tree.map(partial(_tensor, device=device, dtype=dtype), batch.tensors)


def _tensor(array: np.ndarray, device: str, dtype: torch.dtype) -> torch.Tensor:
    tensor = torch.tensor(array, device=device)
    tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor.long()
    return tensor.permute(0, 3, 1, 2).contiguous() if tensor.ndim == 4 else tensor
