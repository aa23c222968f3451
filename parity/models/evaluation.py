"""The mode in which a user hands over two models, and models that stay in evaluation: ports for inference."""

from __future__ import annotations

import inspect
from types import MethodType
from typing import TYPE_CHECKING, Any

from flax import linen, nnx

from parity.models.copies import copy_of

if TYPE_CHECKING:  # Flax's side can be recorded where PyTorch is missing
    import torch

IN_TRAINING = {
    "deterministic": False,
    "use_running_average": False,
    "training": True,
    "train": True,
    "is_training": True,
}
SWITCHED = "deterministic", "use_running_average"  # by `nnx.Module.train` and `eval`


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
    """Returns a view of the model in that mode, in which modules of a user's own are as `train` or `eval` makes them.

    One that was handed over in evaluation beside layers of Flax's in training stays there: it is configured so.
    """
    view = nnx.view(model, deterministic=not train, use_running_average=not train, raise_if_not_found=False)
    modules = [module for _, module in nnx.iter_graph(model) if isinstance(module, nnx.Module)]
    kept = not any(getattr(module, name, None) for module in modules for name in SWITCHED if _is_flax(module))
    for _, module in nnx.iter_graph(view):
        for name in SWITCHED if isinstance(module, nnx.Module) and not _is_flax(module) else ():
            if isinstance(value := vars(module).get(name), bool) and not (value and kept):
                setattr(module, name, not train)
    return view


def _is_flax(module: nnx.Module) -> bool:
    return hasattr(module, "set_view")


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
    model = copy_of(model).eval()
    for module in model.modules():
        vars(module)["train"] = MethodType(_stay, module)
    return model


def _stay(module: torch.nn.Module, mode: bool = True) -> torch.nn.Module:
    return module


def stays(model: torch.nn.Module) -> bool:
    """Tells whether a model is such a copy."""
    return "train" in vars(model)
