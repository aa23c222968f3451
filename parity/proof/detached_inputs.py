"""Inputs whose gradient PyTorch's model cuts in part, where it detaches what it has made of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.overrides import TorchFunctionMode

from parity.arrays.key import Record
from parity.blame.gradients import gradients_under
from parity.compare.rows import Row, sound
from parity.sides.torch import TorchRun
from parity.twin.twin import State, Twin

LIMIT = 1e-9  # of the largest number; what detaching cuts moves a gradient by far more


class Attached(TorchFunctionMode):
    """Lets gradients through `detach` within the block."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if getattr(func, "__name__", "") == "detach" and args[0].requires_grad:
            return args[0] * 1
        return func(*args, **(kwargs or {}))


def detached_inputs(rows: Sequence[Row], twin: Twin, state: State, flax: Record) -> set[str]:
    """Returns the inputs whose gradients alone are wrong in the first step, and Flax's where PyTorch detaches nothing.

    A gradient penalty's points are such: a port differentiates at them, and lets what it finds flow on into the data,
    which no training moves.

    flax: Flax's record of that step
    """
    wrong = {row.key for row in rows if not row.passed}
    of_inputs = all(key.phase == "gradients" and key.is_input for key in wrong)
    if not wrong or not of_inputs or len(twin.torch.turns) != 1:
        return set()
    attached, _ = gradients_under(TorchRun(twin, "float64", "cpu"), twin, state, Attached())
    right = all(key.tensor in attached and _equal(attached[key.tensor], flax[key]) for key in wrong)
    return {key.tensor for key in wrong} if right else set()


def _equal(attached: np.ndarray, ours: np.ndarray) -> bool:
    sizes = sound(attached) and sound(ours) and attached.shape == ours.shape
    return sizes and bool(np.abs(attached - ours).max(initial=0.0) <= LIMIT * np.abs(attached).max(initial=0.0))
