"""Names and shapes of both models' tensors, without their values."""

from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import jax
import torch
from flax import nnx

from d2l_jax.abstract import abstract
from d2l_jax.case import Case
from d2l_jax.errors import InputError
from d2l_jax.weights.rules import leaves
from parity.models.calls import Path, torch_calls
from parity.models.nnx_model import NNXModel
from parity.twin.settings import differing_settings
from parity.twin.torch_side import torch_model


def with_shapes(build: Callable[[], nnx.Module]) -> nnx.Module:
    """Returns the model with shapes in place of arrays, which saves its initialisation; its random keys are real."""
    return with_real_keys(abstract(build))


def with_real_keys(model: nnx.Module) -> nnx.Module:
    """Returns the model with random keys, all different, and counts in place of their shapes."""
    for number, (_, node) in enumerate(nnx.iter_graph(model)):
        if isinstance(node, nnx.RngKey):
            node.set_value(jax.random.key(number))
        elif isinstance(node, nnx.RngCount):
            node.set_value(jax.numpy.zeros((), jax.numpy.uint32))
    return model


def check_structure(name: str, flax: nnx.Module, theirs: torch.nn.Module, alone: Collection[str] = ()) -> None:
    """Raises InputError, with every difference, unless both models hold tensors of the same names and shapes.

    alone: names of constants, which one model may hold and the other compute
    """
    ours = {leaf.key: leaf.shape for leaf in leaves(flax)}
    shapes = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    problems = [f"{key} {ours[key]} is only in Flax" for key in ours if key not in shapes and key not in alone]
    problems += [f"{key} {shapes[key]} is only in PyTorch" for key in shapes if key not in ours and key not in alone]
    differing = [key for key in ours.keys() & shapes.keys() if ours[key] != shapes[key]]
    problems += [f"{key} is {ours[key]} in Flax, {shapes[key]} in PyTorch" for key in differing]
    _refuse(name, problems)


def check_settings(name: str, flax: nnx.Module, theirs: torch.nn.Module) -> None:
    """Raises InputError, with every difference, unless modules of one path hold the same numbers under a name."""
    _refuse(name, differing_settings(flax, theirs))


def _refuse(name: str, problems: list[str]) -> None:
    if problems:
        raise InputError(f"{name}: the models do not correspond: {'; '.join(problems)}")


def check_book_sizes(case: Case) -> None:
    """Raises InputError where the models with the book's sizes differ; the check itself runs small ones.

    The tensors that they hold are compared, names and shapes, the numbers that both hold beside them, and of models of
    images the shape of each layer's output.
    """
    if not case.probe:
        return
    called = f"{case.name} with the book's sizes"
    with torch.device("meta"):
        theirs = torch_model(case)
    ours = with_shapes(case.build)
    check_structure(called, ours, theirs)
    check_settings(called, ours, theirs)
    images = case.of_batch_size(2).arrays if case.data and not case.draw else ()
    if len(images) == 1 and len(images[0].shape) == 4:
        check_outputs(called, ours, theirs.eval(), images[0].shape)


def check_outputs(name: str, flax: nnx.Module, theirs: torch.nn.Module, images: tuple[int, ...]) -> None:
    """Raises InputError, with every difference, unless all layers with tensors put out as much on both sides.

    images: (batch, height, width, channels); nothing is computed
    """
    modules = {leaf.key.rpartition(".")[0]: leaf.path[:-1] for leaf in leaves(flax)}
    ours = _flax_outputs(flax, images)
    batch, *size, channels = images
    with torch.no_grad(), torch_calls(theirs) as calls:
        theirs(torch.zeros(batch, channels, *size, device="meta"))
    problems = []
    for call in (call for call in calls if call.name in modules):
        shape = tuple(call.output.shape)
        our_shape = ours.get((modules[call.name], call.number))
        if our_shape is None or sorted(our_shape) != sorted(shape):
            problems.append(f"{call.name} puts out {our_shape} in Flax, {shape} in PyTorch")
    _refuse(name, problems)


def _flax_outputs(flax: nnx.Module, images: tuple[int, ...]) -> dict[tuple[Path, int], tuple[int, ...]]:
    """Returns the shape of the output of each call, by the module's path and the number of its call."""
    shapes: dict[tuple[Path, int], tuple[int, ...]] = {}
    counts: Counter[Path] = Counter()

    def around(path: Path, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
        output = call(*args, **kwargs)
        if hasattr(output, "shape"):
            shapes[path, counts[path]] = output.shape
            counts[path] += 1
        return output

    model = NNXModel(flax)
    run = partial(model.run, lambda net, x: net(x), train=False, around=around)
    jax.eval_shape(run, model.params, model.buffers, jax.ShapeDtypeStruct(images, "float32"))
    return shapes
