"""PyTorch's optimisers without torch.compile: each loads it, in more than a second, though nothing is compiled."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from torch.optim import Optimizer

COMPILER = "torch._dynamo"
REMEMBERED = "__dynamo_disable"  # what PyTorch calls instead of a function that is never to be compiled


@contextmanager
def made_uncompiled() -> Iterator[None]:
    """Lets optimisers be made within the block without the compiler, unless somebody has loaded it."""
    function = inspect.unwrap(Optimizer.add_param_group)
    if COMPILER in sys.modules or hasattr(function, REMEMBERED):
        yield
        return
    setattr(function, REMEMBERED, function)
    try:
        yield
    finally:
        delattr(function, REMEMBERED)


def step_uncompiled(optimizer: Optimizer) -> None:
    """Takes the optimiser's step; one of PyTorch's own, without hooks, finds an idle compiler in the place of none."""
    stock = type(optimizer).__module__.startswith("torch.optim.")
    hooks = optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks
    if COMPILER in sys.modules or not stock or hooks:
        optimizer.step()
        return
    sys.modules[COMPILER] = idle = ModuleType(COMPILER)
    idle.graph_break = lambda: None  # type: ignore[attr-defined]
    try:
        optimizer.step()
    finally:
        del sys.modules[COMPILER]
