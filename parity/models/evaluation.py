"""The mode in which a user hands over two models, and models that stay in evaluation: ports for inference."""

import copy
import inspect
import itertools
from types import MethodType
from typing import Any

import torch
from flax import linen, nnx

from d2l_jax.functional import eval_view, train_view

IN_TRAINING = {
    "deterministic": False,
    "use_running_average": False,
    "training": True,
    "train": True,
    "is_training": True,
}


def both_evaluate(flax: Any, theirs: torch.nn.Module) -> bool:
    """Tells whether PyTorch's model is in evaluation mode with all its parts, and Flax's too or has none of its own.

    Of a model whose dropout alone is in training mode, as for samples of its predictions, dropout is compared.
    """
    return not any(part.training for part in theirs.modules()) and not _trains(flax)


def _trains(flax: Any) -> bool:
    """Tells whether a Flax model that is called without a mode would train."""
    by_default = training_by_default(flax)
    if by_default is not None or not isinstance(flax, nnx.Module):
        return bool(by_default)
    modules = (module for _, module in nnx.iter_graph(flax) if isinstance(module, nnx.Module))
    return any(training_by_attributes(module) for module in modules)


def in_mode(model: nnx.Module, train: bool) -> nnx.Module:
    """Returns a view of the model in that mode, of which modules of a user's own may keep another name than Flax."""
    view = train_view(model) if train else eval_view(model)
    modules = [module for _, module in nnx.iter_graph(view) if isinstance(module, nnx.Module)]
    for module, name in itertools.product(modules, IN_TRAINING):
        if isinstance(vars(module).get(name), bool):
            setattr(module, name, IN_TRAINING[name] is train)
    return view


def training_by_attributes(module: nnx.Module) -> bool | None:
    """Returns whether a module trains, by the attributes that are in use; None of one that has no mode."""
    return _all_train(vars(module))


def training_by_default(module: Any) -> bool | None:
    """Returns whether a model trains by the defaults of its call's arguments, a Linen one by its attributes, too."""
    arguments = inspect.signature(type(module).__call__).parameters.values()
    attributes = vars(module) if isinstance(module, linen.Module) else {}
    return _all_train({argument.name: argument.default for argument in arguments} | attributes)


def _all_train(flags: dict[str, Any]) -> bool | None:
    modes = [flags[name] is trains for name, trains in IN_TRAINING.items() if isinstance(flags.get(name), bool)]
    return all(modes) if modes else None


def staying(model: torch.nn.Module) -> torch.nn.Module:
    """Returns a copy in evaluation mode, that stays there where a step would have it train."""
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        vars(module)["train"] = MethodType(_stay, module)
    return model


def _stay(module: torch.nn.Module, mode: bool = True) -> torch.nn.Module:
    return module


def stays(model: torch.nn.Module) -> bool:
    """Tells whether a model is such a copy."""
    return "train" in vars(model)
