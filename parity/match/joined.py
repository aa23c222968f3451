"""What PyTorch's model puts together, by `cat`, before it gives it to a layer: an input and a state, say."""

from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from parity.match.hooked import HookedMode

LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
Widths = tuple[int, ...]


class PartsJoined(HookedMode):
    """Notes of how many features each part is that stands beside others in the input of a layer."""

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self._layers = [module for module in model.modules() if isinstance(module, LAYERS)]
        self._joined: dict[int, Widths] = {}

    def hooked(self) -> list[RemovableHandle]:
        return [module.register_forward_pre_hook(self._given) for module in self._layers]

    def of(self, module: torch.nn.Module) -> Widths:
        """Returns how wide the parts of a layer's input are, in order; none where nothing is seen."""
        return self._joined.get(id(module), ())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.cat.default:
            dim = args[1] if len(args) > 1 else 0
            widths = tuple(part.shape[dim] for part in args[0])
            self.results[id(result)] = result, dim % result.ndim, widths  # kept, so that the number is no other's
        return result

    def _given(self, module: torch.nn.Module, args: tuple) -> None:
        x, dim, widths = self.results.get(id(args[0]) if args else 0, (None, 0, ()))
        features = 1 if not isinstance(module, torch.nn.Linear) else -1
        if x is not None and dim == features % x.ndim:
            self._joined.setdefault(id(module), widths)
