"""Several optimisers whose updates one side makes in turn, and the other from gradients that were all taken before."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.functions.trials import FunctionTrial
from parity.training_step.seen import Seen
from parity.training_step.several_optimizers import moved_by


def at_the_end(seen: Seen, run: Callable[[], Any]) -> Iterator[FunctionTrial]:
    """Yields what the step gives where no forward pass meets what an earlier optimiser has just moved.

    run: takes the step within `held_back`, and returns the pieces that are compared
    """
    if len({id(optimizer) for optimizer in seen.optimizers}) < 2:
        return
    try:
        pieces = run()
    except UNFIT:
        return
    text = "Flax takes the gradients of all its optimisers before any update, PyTorch's later ones meet what the"
    yield "updates-together", f"{text} earlier ones have moved already", pieces, ""


def held_back(steps: int) -> Callable[[], AbstractContextManager[None]]:
    """Returns what has the updates of all optimisers made together, after that many calls of their `step`."""

    @contextmanager
    def holding() -> Iterator[None]:
        olds: dict[torch.Tensor, torch.Tensor] = {}
        news: dict[torch.Tensor, torch.Tensor] = {}
        done: list[torch.optim.Optimizer] = []

        def before(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            olds.update({parameter: parameter.detach().clone() for parameter in moved_by(optimizer)})

        def after(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            for parameter in moved_by(optimizer):
                news[parameter] = parameter.detach().clone()
                parameter.data.copy_(olds[parameter])
            done.append(optimizer)
            if len(done) == steps:  # what follows, an average, meets the new ones
                for parameter, new in news.items():
                    parameter.data.copy_(new)

        handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    return holding
