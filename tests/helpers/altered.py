"""The cause that alterations of PyTorch's functions find, without a check around it."""

from collections.abc import Callable
from typing import Any

import torch

from parity.blame.diagnosis.cause import Cause, choose
from parity.blame.diagnosis.functions import Altering, function_trials


def cause_of(
    model: Callable[..., torch.Tensor], flax: Callable[..., torch.Tensor], *args: torch.Tensor
) -> Cause | None:
    """Returns what turns the results of PyTorch's model into those of the other, which stands for Flax's."""
    module = model if isinstance(model, torch.nn.Module) else Calling(model)

    def run(choice: Any) -> tuple[list, Altering]:
        mode = Altering(module, choice)
        with torch.no_grad(), mode.running():
            return [module(*args).numpy()], mode

    with torch.no_grad():
        oracle, ours = module(*args).numpy(), flax(*args).numpy()
    return choose([oracle], [ours], function_trials(run))


class Calling(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]):
        super().__init__()
        self.function = function

    def forward(self, *args: torch.Tensor) -> torch.Tensor:
        return self.function(*args)
