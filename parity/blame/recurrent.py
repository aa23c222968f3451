"""Recurrent layers under other conventions, where Flax has no module for the whole of one."""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

import numpy as np
import torch

from parity.blame.diagnosis.altered.recurrent import ALTERATIONS, KINDS
from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.functions.trials import FunctionTrial


def recurrent_trials(
    model: torch.nn.Module, right: Collection[str], computed: Callable[[], list[np.ndarray]]
) -> Iterator[FunctionTrial]:
    """Yields what PyTorch's model computes with one of its recurrent layers altered.

    right: submodules that compute the same in Flax when they are given the same
    """
    layers = [(name, x) for name, x in model.named_modules() if isinstance(x, KINDS) and name not in right]
    for name, layer in layers:
        parent, _, last = name.rpartition(".")
        for cause, text, altered in (trial for alteration in ALTERATIONS for trial in alteration(layer)):
            setattr(model.get_submodule(parent), last, altered)
            with suppress(*UNFIT):
                yield cause, f"in {name}: {text}", computed(), name
        setattr(model.get_submodule(parent), last, layer)
