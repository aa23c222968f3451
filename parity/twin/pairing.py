"""Makes a twin: of a case of the catalogue, or of two models that were never written to match."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from parity.arrays.layout import Axes, between, copied, named_leaves, of_inputs
from parity.models.calls import torch_calls
from parity.models.flax_model import FlaxModel, NNXModel
from parity.twin.draws import Draw, numbers, partners, requested
from parity.twin.draws_torch import ImposedOnTorch
from parity.twin.modules import correspondence, site_of
from parity.twin.torch_side import torch_clipping, torch_loss, torch_model, torch_optimizer
from parity.twin.twin import STEPS, Batch, Learning, State, Twin
from parity.weights.rules import Leaf, leaves


def twin_of(case: Case, *, full: bool = False, seed: int = 0, steps: int = STEPS) -> Twin:
    """The two models of a case, small and odd-sized, or with the book's sizes and a batch of 3 where `full`."""
    random = np.random.default_rng(seed)
    args = case.args if full else case.args | case.probe
    arrays = case.of_batch_size(3).arrays if full and case.data else case.probe_arrays
    flax = abstract(lambda: case.model(**args, rngs=nnx.Rngs(seed)))
    inputs = [tuple(array.random(random) for array in arrays) for _ in range(steps)]
    return pair(case, flax, torch_model(case, probe=not full), inputs, random)


def pair(
    case: Case, flax: nnx.Module, torch_side: torch.nn.Module, inputs: Sequence[tuple], random: np.random.Generator
) -> Twin:
    """Two models with tensors of the same names and shapes, that `case` says how to train."""
    check_structure(case.name, flax, torch_side)
    learning = Learning(
        flax_loss=case.objective,
        torch_loss=torch_loss(case),
        optimizer=case.transformation(),
        torch_optimizer=lambda model: torch_optimizer(case, model),
        prepare=torch_clipping(case),
    )
    labels = case.outputs in ("scores", "tokens")
    return make_twin(case.name, NNXModel(flax), torch_side, leaves(flax), inputs, learning, labels, random)


def make_twin(
    name: str,
    flax: FlaxModel,
    torch_side: torch.nn.Module,
    tensors: list[Leaf],
    inputs: Sequence[tuple],
    learning: Learning,
    labels: bool,
    random: np.random.Generator,
) -> Twin:
    """The same random weights, targets and random numbers for both; `labels`: targets are classes, else arrays."""
    weights = random_weights(tensors, torch_side, random)
    input_axes = tuple(of_inputs(np.ndim(x)) for x in inputs[0])
    names = correspondence(tensors, torch_side, flax.modules(inputs[0]))
    shapes, flax_draws = _flax_outputs(flax, inputs[0], names)
    torch_shapes, torch_draws = _torch_outputs(torch_side, inputs[0], input_axes, names)
    if len(shapes) != len(torch_shapes):
        listed = (", ".join(map(str, found)) or "nothing" for found in (torch_shapes, shapes))
        raise InputError("{}: outputs differ: PyTorch returns {}; Flax returns {}".format(name, *listed))
    for ours, theirs in zip(shapes, torch_shapes, strict=True):
        if sorted(ours) != sorted(theirs):
            raise InputError(f"{name}: outputs differ in shape: {theirs} in PyTorch, {ours} in Flax")
    output_axes = tuple(between(ours, theirs) for ours, theirs in zip(shapes, torch_shapes, strict=True))
    batches = tuple(Batch(x, targets(labels, shapes, random), numbers(flax_draws, random)) for x in inputs)
    order = partners(flax_draws, torch_draws)
    state = State(weights)
    return Twin(
        name, flax, torch_side, tensors, state, batches, learning, input_axes, output_axes, order, names
    )  # fmt: skip


def _flax_outputs(flax: FlaxModel, inputs: tuple, names: dict[str, tuple]) -> tuple[list[tuple], list[Draw]]:
    """Shapes of the outputs, and the random numbers that are drawn, without computing anything."""
    stack: list[tuple] = []
    by_path = {path: name for name, path in names.items()}

    def around(path: tuple, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
        stack.append(path)
        try:
            return call(*args, **kwargs)
        finally:
            stack.pop()

    def run(params: Any, buffers: Any, *inputs: Any) -> Any:
        outputs.append(flax.apply(params, buffers, inputs, train=True, around=around)[0])

    outputs: list[Any] = []
    draws = requested(run, flax.params, flax.buffers, *inputs, site=lambda: site_of(stack, by_path))
    return [array.shape for _, array in named_leaves(outputs[0], "output")], draws


def _torch_outputs(
    model: torch.nn.Module, inputs: tuple, axes: tuple[Axes, ...], names: dict[str, tuple]
) -> tuple[list[tuple], list[Draw]]:
    """Likewise for PyTorch, by a run in training mode of a copy."""
    run = copy.deepcopy(model).cpu().train()
    dtype = next((p.dtype for p in run.parameters() if p.is_floating_point()), torch.float32)
    tensors = (torch.as_tensor(copied(x, order)) for x, order in zip(inputs, axes, strict=True))
    given = [x.to(dtype) if x.is_floating_point() else x for x in tensors]
    with torch.no_grad(), torch_calls(run) as calls:
        open_calls = lambda: [call.name for call in calls if call.output is None]  # noqa: E731
        with ImposedOnTorch(site=lambda: site_of(open_calls(), {name: name for name in names})) as drawn:
            output = run(*given)
    return [tuple(tensor.shape) for _, tensor in named_leaves(output, "output")], drawn.seen


def targets(labels: bool, shapes: list[tuple], random: np.random.Generator) -> Any:
    """Random classes, or arrays like the outputs; a list of them where the model has several."""
    if labels:
        return random.integers(0, shapes[0][-1], shapes[0][:-1])
    made = [_float32(random.normal(size=shape)) for shape in shapes]
    return made[0] if len(made) == 1 else made


def abstract(build: Callable[[], nnx.Module]) -> nnx.Module:
    """The model with shapes in place of arrays, which saves the time of initialising it; its random keys are real."""
    model = nnx.eval_shape(build)
    for _, node in nnx.iter_graph(model):
        if isinstance(node, nnx.RngKey):
            node.set_value(jax.random.key(0))
        elif isinstance(node, nnx.RngCount):
            node.set_value(jax.numpy.zeros((), jax.numpy.uint32))
    return model


def random_weights(
    tensors: list[Leaf], model: torch.nn.Module | None, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Values for every tensor, biases and statistics too: a bias of 0 or a variance of 1 would hide bugs.

    What PyTorch's model alone has keeps its values there.
    """
    by_path: dict[tuple, np.ndarray] = {}
    found: dict[str, np.ndarray] = {}
    own = {key: tensor.detach().cpu().numpy() for key, tensor in (model.state_dict() if model else {}).items()}
    whole = {leaf.key: own[leaf.key].shape if leaf.rows else leaf.shape for leaf in tensors}
    for leaf in tensors:
        if leaf.path not in by_path or leaf.rows:
            by_path[leaf.path] = _random_tensor(leaf, whole[leaf.key], random)
        for key in (leaf.key, *leaf.merged):
            found.setdefault(key, by_path[leaf.path])
    return own | found | _tied(model, found)


def _tied(model: torch.nn.Module | None, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One value for all names of a parameter that PyTorch shares, though Flax may not."""
    first: dict[int, np.ndarray] = {}
    named = model.named_parameters(remove_duplicate=False) if model else ()
    return {key: first.setdefault(id(parameter), found[key]) for key, parameter in named if key in found}


def _random_tensor(leaf: Leaf, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    name = leaf.key.rpartition(".")[2]
    if np.issubdtype(leaf.dtype, np.integer):
        return np.asarray(random.integers(1, 9, shape), np.int64)
    if leaf.dtype == bool:
        return random.random(shape) < 0.5
    if "var" in name:
        return _float32(random.uniform(0.5, 2.0, shape))
    if name == "gamma" or (name == "weight" and len(shape) == 1):
        return _float32(random.uniform(0.5, 1.5, shape))
    scale = 1 / math.sqrt(fan_in_of(leaf)) if len(shape) > 1 and name not in ("beta", "moving_mean") else 0.3
    return _float32(scale * random.normal(size=shape))


def fan_in_of(leaf: Leaf) -> int:
    """Inputs of one unit: PyTorch's weights have the units first, the book's own (in, out) last."""
    size = math.prod(leaf.shape)
    own_layout = leaf.axes == tuple(range(len(leaf.axes)))
    units = leaf.shape[-1 if own_layout else 0] if len(leaf.shape) > 1 else 1
    return max(1, size // units)


def longest_sum(twin: Twin) -> int:
    """About the number of terms of the longest sum: a layer's inputs, or a gradient's batch positions."""
    fan_in = max(map(fan_in_of, twin.leaves), default=1)
    return max(fan_in, math.prod(twin.batches[0].inputs[0].shape[:-1]))


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
