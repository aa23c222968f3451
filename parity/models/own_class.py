"""A class of its own for one PyTorch module, so that what it computes otherwise touches no other module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # Flax's side can be recorded where PyTorch is missing
    import torch


def give_own_class(module: torch.nn.Module, **attributes: Any) -> None:
    """Changes a module's class into a subclass of the same name that has these attributes, as methods and properties.

    The module stays the object it is, with its tensors, its hooks and its place in a model.
    """
    kind = type(module)
    module.__class__ = type(kind.__name__, (kind,), attributes | {"__module__": kind.__module__})
