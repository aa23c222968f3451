"""The same weights and the same batches, ready to be run on two sides."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
import torch
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from d2l_jax.functional import functional, train_view
from d2l_jax.train import make_objective
from parity.randomness import requested, uniforms
from parity.torch_side import torch_loss, torch_model, torch_optimizer
from parity.weights import Leaf, leaves, load_state_dict

STEPS = 5


@dataclass(frozen=True)
class Step:
    """What one training step is given; images channels last, draws in PyTorch's layout."""

    inputs: np.ndarray
    targets: np.ndarray
    draws: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Twin:
    """Two models, one set of weights, the steps to take, and how either side learns.

    weights:         {PyTorch's key: array in PyTorch's layout}, values that float32 holds exactly
    objective:       Flax: (params, buffers, inputs, targets) -> (loss, (outputs, buffers))
    torch_loss:      PyTorch: (outputs, targets, model) -> loss
    torch_optimizer: PyTorch: model -> optimizer
    images_in, images_out: whether axes of inputs and outputs are (batch, height, width, channels)
    """

    name: str
    model: nnx.Module
    torch_model: torch.nn.Module
    weights: dict[str, np.ndarray]
    steps: tuple[Step, ...]
    objective: Callable
    optimizer: optax.GradientTransformation
    torch_loss: Callable[..., torch.Tensor]
    torch_optimizer: Callable[[torch.nn.Module], torch.optim.Optimizer]
    images_in: bool = False
    images_out: bool = False

    @property
    def longest_sum(self) -> int:
        """About the number of terms of the longest sum: a layer's inputs, or a gradient's batch positions."""
        fan_in = max((fan_in_of(leaf) for leaf in leaves(self.model)), default=1)
        return max(fan_in, math.prod(self.steps[0].inputs.shape[:-1]))


def twin_of(case: Case, *, full: bool = False, seed: int = 0) -> Twin:
    """The two models of a case, small and odd-sized, or with the book's sizes and a batch of 3 where `full`."""
    random = np.random.default_rng(seed)
    if case.probe_lr is not None:
        case = replace(case, optimizer=partial(case.optimizer, lr=case.probe_lr))
    args = case.args if full else case.args | case.probe
    shape = (3, *case.inputs[1:]) if full and case.data else case.probe_inputs or case.inputs
    flax = abstract(lambda: case.model(**args, rngs=nnx.Rngs(seed)))
    inputs = [_float32(0.4 + random.normal(size=shape)) for _ in range(STEPS)]
    return pair(case, flax, torch_model(case, probe=not full), inputs, random)


def pair(
    case: Case, flax: nnx.Module, torch_side: torch.nn.Module, inputs: list[np.ndarray], random: np.random.Generator
) -> Twin:
    """Any two models that `case` says how to train, with the same random weights and targets."""
    check_structure(case.name, flax, torch_side)
    weights = random_weights(leaves(flax), random)
    load_state_dict(flax, weights)
    return Twin(
        name=case.name,
        model=flax,
        torch_model=torch_side,
        weights=weights,
        steps=_steps(case, flax, inputs, random),
        objective=make_objective(flax, case.loss, case.penalty),
        optimizer=case.optimizer(),
        torch_loss=torch_loss(case),
        torch_optimizer=lambda model: torch_optimizer(case, model),
        images_in=inputs[0].ndim == 4,
        images_out=case.outputs == "images",
    )


def abstract(build: Callable[[], nnx.Module]) -> nnx.Module:
    """The model with shapes in place of arrays, which saves the time of initialising it; its random keys are real."""
    model = nnx.eval_shape(build)
    for _, node in nnx.iter_graph(model):
        if isinstance(node, nnx.RngKey):
            node.set_value(jax.random.key(0))
        elif isinstance(node, nnx.RngCount):
            node.set_value(jax.numpy.zeros((), jax.numpy.uint32))
    return model


def _steps(case: Case, flax: nnx.Module, inputs: list[np.ndarray], random: np.random.Generator) -> tuple[Step, ...]:
    apply, params, buffers = functional(train_view(flax))
    outputs, _ = jax.eval_shape(apply, params, buffers, inputs[0])
    draws = requested(apply, params, buffers, inputs[0])
    return tuple(Step(x, _targets(case.outputs, outputs.shape, random), uniforms(draws, random)) for x in inputs)


def _targets(outputs: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    if outputs == "scores":
        return random.integers(0, shape[-1], shape[:-1])
    return _float32(random.normal(size=shape))


def random_weights(tensors: list[Leaf], random: np.random.Generator) -> dict[str, np.ndarray]:
    """Values for every tensor, biases and statistics too: a bias of 0 or a variance of 1 would hide bugs."""
    by_path: dict[tuple, np.ndarray] = {}
    for leaf in tensors:
        if leaf.path not in by_path:
            by_path[leaf.path] = _random_tensor(leaf, random)
    return {leaf.key: by_path[leaf.path] for leaf in tensors}


def _random_tensor(leaf: Leaf, random: np.random.Generator) -> np.ndarray:
    name = leaf.key.rpartition(".")[2]
    if np.issubdtype(leaf.dtype, np.integer):
        return np.asarray(random.integers(1, 9, leaf.shape), np.int64)
    if "var" in name:
        return _float32(random.uniform(0.5, 2.0, leaf.shape))
    if name == "gamma" or (name == "weight" and len(leaf.shape) == 1):
        return _float32(random.uniform(0.5, 1.5, leaf.shape))
    scale = 1 / math.sqrt(fan_in_of(leaf)) if len(leaf.shape) > 1 and name not in ("beta", "moving_mean") else 0.3
    return _float32(scale * random.normal(size=leaf.shape))


def fan_in_of(leaf: Leaf) -> int:
    """Inputs of one unit: PyTorch's weights have the units first, the book's own (in, out) last."""
    size = math.prod(leaf.shape)
    own_layout = leaf.axes == tuple(range(len(leaf.axes)))
    units = leaf.shape[-1 if own_layout else 0] if len(leaf.shape) > 1 else 1
    return max(1, size // units)


def _float32(array: Any) -> np.ndarray:
    return np.asarray(array, np.float32)


def check_structure(name: str, flax: nnx.Module, torch_side: torch.nn.Module) -> None:
    """Raises InputError, with every difference, unless both models hold tensors of the same names and shapes."""
    ours = {leaf.key: leaf.shape for leaf in leaves(flax)}
    theirs = {key: tuple(value.shape) for key, value in torch_side.state_dict().items()}
    problems = [f"{key} {ours[key]} is only in Flax" for key in ours if key not in theirs]
    problems += [f"{key} {theirs[key]} is only in PyTorch" for key in theirs if key not in ours]
    differing = [key for key in ours.keys() & theirs.keys() if ours[key] != theirs[key]]
    problems += [f"{key} is {ours[key]} in Flax, {theirs[key]} in PyTorch" for key in differing]
    if problems:
        raise InputError(f"{name}: the models do not correspond: {'; '.join(problems)}")
