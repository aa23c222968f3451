"""Names and shapes of both models' tensors, without their values."""

from collections.abc import Callable

import jax
import torch
from flax import nnx

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from parity.twin.torch_side import torch_model
from parity.weights.rules import leaves


def abstract(build: Callable[[], nnx.Module]) -> nnx.Module:
    """Returns the model with shapes in place of arrays, which saves its initialisation; its random keys are real."""
    model = nnx.eval_shape(build)
    for _, node in nnx.iter_graph(model):
        if isinstance(node, nnx.RngKey):
            node.set_value(jax.random.key(0))
        elif isinstance(node, nnx.RngCount):
            node.set_value(jax.numpy.zeros((), jax.numpy.uint32))
    return model


def check_structure(name: str, flax: nnx.Module, theirs: torch.nn.Module) -> None:
    """Raises InputError, with every difference, unless both models hold tensors of the same names and shapes."""
    ours = {leaf.key: leaf.shape for leaf in leaves(flax)}
    shapes = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    problems = [f"{key} {ours[key]} is only in Flax" for key in ours if key not in shapes]
    problems += [f"{key} {shapes[key]} is only in PyTorch" for key in shapes if key not in ours]
    differing = [key for key in ours.keys() & shapes.keys() if ours[key] != shapes[key]]
    problems += [f"{key} is {ours[key]} in Flax, {shapes[key]} in PyTorch" for key in differing]
    if problems:
        raise InputError(f"{name}: the models do not correspond: {'; '.join(problems)}")


def check_book_sizes(case: Case) -> None:
    """Raises InputError where the models with the book's sizes hold other tensors; the check itself runs small ones."""
    if case.probe:
        with torch.device("meta"):
            theirs = torch_model(case)
        check_structure(f"{case.name} with the book's sizes", abstract(case.build), theirs)
