"""Several models of PyTorch's, or several optimisers, as one: a GAN's two, an actor's and a critic's."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch


class Optimizers:
    """Several optimisers as one, for what is recorded; the user's step has them as they were handed over."""

    def __init__(self, several: Iterable[torch.optim.Optimizer]):
        self.several = list(several)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Returns the groups of all."""
        return [group for each in self.several for group in each.param_groups]

    @property
    def state(self) -> dict[torch.Tensor, Any]:
        """Returns the slots of all, by parameter."""
        return {parameter: slots for each in self.several for parameter, slots in each.state.items()}

    def register_step_pre_hook(self, hook: Callable) -> Any:
        """Has the hook called before every step of any of them."""
        return _Handles([each.register_step_pre_hook(hook) for each in self.several])


class _Handles:
    def __init__(self, handles: list[Any]):
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def as_module(model: Any) -> torch.nn.Module | None:
    """Returns the module, or a module of the dict's or tuple's modules; None where it is neither."""
    if isinstance(model, torch.nn.Module):
        return model
    parts = _parts(model)
    if not parts or not all(isinstance(part, torch.nn.Module) for part in parts.values()):
        return None
    return torch.nn.ModuleDict(parts)


def optimizers_of(optimizer: Any) -> list[torch.optim.Optimizer]:
    """Returns the optimiser, or those of a dict or tuple; [] where it is neither."""
    several = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else list(_parts(optimizer).values())
    return several if all(isinstance(each, torch.optim.Optimizer) for each in several) else []


def _parts(several: Any) -> dict[str, Any]:
    if isinstance(several, Mapping):
        return {str(name): part for name, part in several.items()}
    return {str(number): part for number, part in enumerate(several)} if isinstance(several, tuple | list) else {}


def as_optimizer(optimizer: Any, others: Iterable[torch.optim.Optimizer]) -> Any:
    """Returns the only optimiser, of these and others, or all of them as one."""
    several = list({id(each): each for each in (*optimizers_of(optimizer), *others)}.values())
    return Optimizers(several) if len(several) > 1 else several[0]


def moved_by(optimizer: Any) -> list[torch.Tensor]:
    """Returns the tensors that the optimiser moves."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def beside(model: torch.nn.Module, optimizer: Any, names: Mapping[int, str]) -> dict[str, torch.Tensor]:
    """Returns the tensors, by name, that the optimiser moves and the model does not hold: a temperature, an image.

    names: of tensors, by identity
    """
    held = {id(parameter) for parameter in model.parameters()}
    taken = {*dict(model.named_children()), *model._parameters, *model._buffers}
    alone: dict[str, torch.Tensor] = {}
    for number, tensor in enumerate(tensor for tensor in moved_by(optimizer) if id(tensor) not in held):
        name = names.get(id(tensor), "").replace(".", "_")
        alone[name if name and name not in taken | alone.keys() else f"parameter{number}"] = tensor
    return alone
