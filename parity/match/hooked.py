"""Modes in which operations of PyTorch's are heard, together with calls of some modules."""

from collections.abc import Iterable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.hooks import RemovableHandle


class HookedMode(TorchDispatchMode):
    """Hears calls of modules by hooks for as long as it lasts, and forgets then which tensors it has met."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[int, Any] = {}

    def hooked(self) -> Iterable[RemovableHandle]:
        """Returns the hooks, which it registers."""
        raise NotImplementedError

    def __enter__(self) -> Any:
        self._hooks = list(self.hooked())
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for hook in self._hooks:
            hook.remove()
        self.results.clear()
