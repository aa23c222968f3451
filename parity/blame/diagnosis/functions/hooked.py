"""A mode and the hooks that go with it, for as long as a model runs."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

Mode = TypeVar("Mode", bound=TorchFunctionMode)


@contextmanager
def hooked(mode: Mode, handles: Iterable[RemovableHandle]) -> Iterator[Mode]:
    """Lets the model run in the mode within the block, and takes its hooks off behind it."""
    try:
        with mode:
            yield mode
    finally:
        for handle in handles:
            handle.remove()
