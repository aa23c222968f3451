"""From a module to a pure function: the counterpart of `torch.func.functional_call`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flax import nnx

Tree = dict[str, Any]


class Functional(NamedTuple):
    """A model as a pure function and the two plain dicts that it takes.

    apply:    (params, buffers, *inputs) -> (outputs, buffers)
    params:   what is trained (`nnx.Param`)
    buffers:  everything else that changes: running statistics, dropout keys and counts
    """

    apply: Callable[..., tuple[Any, Tree]]
    params: Tree
    buffers: Tree


def functional(model: nnx.Module) -> Functional:
    """Takes `model` apart; `model` itself is not touched by what `apply` does."""
    graphdef, params, buffers = nnx.split(model, nnx.Param, ...)

    def apply(params: Tree, buffers: Tree, *inputs: Any) -> tuple[Any, Tree]:
        module = nnx.merge(graphdef, params, buffers)
        outputs = module(*inputs)
        return outputs, nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.Param)))

    return Functional(apply, nnx.to_pure_dict(params), nnx.to_pure_dict(buffers))


def train_view(model: nnx.Module) -> nnx.Module:
    """The same variables, with dropout on and batch statistics in use."""
    return nnx.view(model, deterministic=False, use_running_average=False, raise_if_not_found=False)


def eval_view(model: nnx.Module) -> nnx.Module:
    """The same variables, with dropout off and running statistics in use."""
    return nnx.view(model, deterministic=True, use_running_average=True, raise_if_not_found=False)
