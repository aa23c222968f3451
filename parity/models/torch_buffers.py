"""PyTorch's constants: buffers that no run changes, and parameters that nothing trains."""

from collections.abc import Collection
from typing import Any

import torch

from parity.models.copies import copy_of


def resting_buffers(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> set[str]:
    """Returns the names of the saved buffers that a run in training mode leaves alone: tables, masks, divisors.

    Neither the model nor the state of PyTorch's random numbers is changed; a model that does not run has none.
    """
    saved = model.state_dict()
    names = {name for name, _ in model.named_buffers(remove_duplicate=False)} & saved.keys()
    if not names:
        return set()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            run: Any = copy_of(model).cpu().train()
            run(*(x.to(_dtype(model)) if x.is_floating_point() else x for x in inputs))
        except Exception:  # the check itself will say what is wrong
            return set()
    after = run.state_dict()
    return {name for name in names if torch.equal(after[name], saved[name].cpu())}


def frozen_tables(model: torch.nn.Module) -> set[str]:
    """Returns the names of the parameters that require no gradient and hold different numbers, or a single one.

    Equal numbers are a start, ones or zeros, from which a checkpoint may have gone on; a single 0 or 1 is, too.
    """
    frozen = ((name, model.get_parameter(name)) for name in frozen_parameters(model))
    return {name for name, p in frozen if varies(p) or p.numel() == 1 and p.item() not in (0, 1)}


def frozen_parameters(model: torch.nn.Module) -> set[str]:
    """Returns the names of the parameters that require no gradient."""
    return {name for name, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad}


def varies(tensor: torch.Tensor) -> bool:
    """Tells whether a tensor holds different numbers."""
    return bool((tensor != tensor.flatten()[:1]).any())


def as_buffers(model: torch.nn.Module, names: Collection[str]) -> torch.nn.Module:
    """Returns a copy of the model in which these parameters are buffers of the same names and values."""
    model = copy_of(model)
    for where, _, last in (name.rpartition(".") for name in names):
        module = model.get_submodule(where)
        tensor = module.get_parameter(last).detach()
        delattr(module, last)
        module.register_buffer(last, tensor)
    return model


def _dtype(model: torch.nn.Module) -> torch.dtype:
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
