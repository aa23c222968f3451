"""Why the optimiser's step differs while the gradients agree."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from parity.blame.diagnosis import explain_update
from parity.result import Blame
from parity.sides.torch import Record, phase
from parity.twin.twin import Learning, State, Twin

# What an optimiser lacks that has no such slot.
SLOTS = {"max_exp_avg_sq": "amsgrad", "momentum_buffer": "momentum-missing", "grad_avg": "centered"}


def of_optimizer(twin: Twin, wrong: set[str], oracle: Record, flax: Record, states: Sequence[State]) -> Blame | None:
    """The first step whose update differs while its gradients agree."""
    steps = range(1, len(twin.batches) + 1)
    for number in (number for number in steps if any(x.startswith(f"{phase(number, 'update')}/") for x in wrong)):
        update = phase(number, "update")
        names = [name for name, p in twin.torch_model.named_parameters() if f"{update}/{name}" in oracle]
        before = {name: states[number - 1].tensors[name].astype(np.float64) for name in names}
        grads = {name: oracle[f"{phase(number, 'gradients')}/{name}"] for name in names}
        slots_of = {name: dict(states[number - 1].slots.get(name, {})) for name in names}
        moved = {name: flax[f"{update}/{name}"] for name in names if f"{update}/{name}" in flax}
        make = _for_tensors(twin, names, number)
        cause = explain_update(make, before, grads, slots_of, moved) if len(moved) == len(names) else None
        return Blame.because(cause, "optimizer", "optimizer", f"the optimiser, at step {number}")
    slots = sorted(name for name in wrong if name.partition("/")[0].endswith("optimizer"))
    if slots:
        missing = next((cause for slot, cause in SLOTS.items() if f"/{slot}:" in slots[0]), "")
        return Blame("optimizer", "optimizer", missing, f"the optimiser's state alone: {slots[0]}")
    rest = sorted(wrong)
    return Blame("", "training", "", f"only after several steps in a row: {rest[0]}") if rest else None


def _for_tensors(twin: Twin, names: list[str], number: int) -> Any:
    """PyTorch's optimiser at that step for a list of tensors that stand for the model's parameters; it clips, too."""

    def make(params: list[torch.Tensor]) -> torch.optim.Optimizer:
        stand_in = torch.nn.Module()
        stand_in.named_parameters = lambda *_, **__: iter(zip(names, params, strict=True))  # type: ignore[method-assign]
        stand_in.parameters = lambda *_, **__: iter(params)  # type: ignore[method-assign]
        optimizer = twin.learning.torch_optimizer(stand_in)
        if twin.learning.torch_scheduler:
            scheduler = twin.learning.torch_scheduler(optimizer)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of steps that the optimiser has taken elsewhere
                for _ in range(number - 1):
                    scheduler.step()
        if twin.learning.prepare is not Learning.prepare:
            optimizer.register_step_pre_hook(lambda *_: twin.learning.prepare(stand_in))
        return optimizer

    return make
