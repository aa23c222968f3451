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


def as_optimizer(optimizer: Any, others: Iterable[torch.optim.Optimizer], model: torch.nn.Module) -> Any:
    """Returns the only optimiser, of these and others, that moves parameters of the model, or all of them as one."""
    several = list({id(each): each for each in (*optimizers_of(optimizer), *others)}.values())
    mine = {id(parameter) for parameter in model.parameters()}
    moving = [each for each in several if any(id(p) in mine for group in each.param_groups for p in group["params"])]
    return Optimizers(moving) if len(moving) > 1 else (moving or several)[0]
