"""Why the optimiser's step differs while the gradients agree."""

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.arrays.key import Key, Record
from parity.blame.diagnosis import Cause, explain_update
from parity.blame.diagnosis.cause import confirmed
from parity.blame.diagnosis.optimizers.step import ObservedStep
from parity.blame.whole_arrays import of_whole_arrays
from parity.result import Blame
from parity.twin.twin import State, TorchTurn, Twin, leave

# What an optimiser lacks that has no such slot.
SLOTS = {"max_exp_avg_sq": "amsgrad", "momentum_buffer": "momentum-missing", "grad_avg": "centered"}


def of_optimizer(twin: Twin, wrong: set[Key], oracle: Record, flax: Record, states: Sequence[State]) -> Blame | None:
    """Returns the first step whose update differs while its gradients agree, and why."""
    for number in range(1, len(twin.batches) + 1):
        for turn in twin.torch.turns:
            steps = [step for step in range(number, len(twin.batches) + 1) if _moves(wrong, step, turn)]
            if number in steps:
                causes = (_cause(twin, turn, step, oracle, flax, states[step - 1]) for step in steps)
                called = f"the optimiser of {turn.name}" if turn.name else "the optimiser"
                return Blame.because(confirmed(causes), "optimizer", "optimizer", f"{called}, at step {number}")
    slots = sorted((key for key in wrong if key.phase == "optimizer"), key=str)
    if slots:
        cause = SLOTS.get(slots[0].slot, "")
        return Blame("optimizer", "optimizer", cause, f"the optimiser's state alone: {slots[0]}")
    rest = sorted(wrong, key=str)
    return Blame("", "training", "", f"only after several steps in a row: {rest[0]}") if rest else None


def of_later_step(wrong: set[Key]) -> Blame | None:
    """Blames the body in a later step, which starts where PyTorch's does: no optimiser moves its outputs."""
    made = sorted((key for key in wrong if key.phase in ("forward", "gradients") and not key.layer), key=str)
    moved = [key.step for key in wrong if key.phase in ("update", "optimizer")]
    first = min(made, key=lambda key: key.step, default=None)
    if first is None or first.step == 1 or any(step < first.step for step in moved):
        return None
    return Blame("", first.phase, "", f"the model's own body, where steps before are right: {first}")


def _moves(wrong: set[Key], step: int, turn: TorchTurn) -> bool:
    """Tells whether an update of the turn differs at the step."""
    return any((key.step, key.phase, key.turn) == (step, "update", turn.name) for key in wrong)


def _cause(twin: Twin, turn: TorchTurn, number: int, oracle: Record, flax: Record, state: State) -> Cause | None:
    parameters = [name for name, _ in twin.torch.model.named_parameters()]
    updates = {name: Key(number, "update", name, turn.name) for name in parameters}
    names = [name for name in parameters if updates[name] in oracle]
    moved = {name: flax[updates[name]] for name in names if updates[name] in flax}
    if len(moved) < len(names):
        return None
    before = {name: state.tensors[name].astype(np.float64) for name in names}
    grads = {name: oracle[updates[name]._replace(phase="gradients")] for name in names}
    slots = {name: dict(state.slots.get(name, {})) for name in names}
    rates = _rates(_for_tensors(turn, names, 1), turn, before, len(twin.batches) + 1)
    held = {key.slot for key in flax if (key.step, key.phase, key.turn) == (number, "optimizer", turn.name)}
    make = partial(_for_tensors, turn, number=number)
    step = ObservedStep(make(names), before, grads, slots, number, rates, held)
    return of_whole_arrays(twin, make, step, moved) or explain_update(
        step.make, before, grads, slots, moved, number=number, rates=rates, slots=held
    )


def _rates(make: Any, turn: TorchTurn, before: dict[str, np.ndarray], steps: int) -> tuple[float, ...]:
    """Returns PyTorch's learning rate of every step, of the first group; () where no schedule changes it."""
    if turn.scheduler is None:
        return ()
    optimizer = make([torch.tensor(array, requires_grad=True) for array in before.values()])
    scheduler = turn.scheduler(optimizer)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that the optimiser has not taken
        for _ in range(steps):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            scheduler.step()
    return tuple(rates)


def _for_tensors(turn: TorchTurn, names: list[str], number: int) -> Any:
    """Returns PyTorch's optimiser at that step, for a list of tensors that stand for the parameters; it clips, too."""

    def make(params: list[torch.Tensor]) -> torch.optim.Optimizer:
        stand_in = torch.nn.Module()
        stand_in.named_parameters = lambda *_, **__: iter(zip(names, params, strict=True))  # type: ignore[method-assign]
        stand_in.parameters = lambda *_, **__: iter(params)  # type: ignore[method-assign]
        optimizer = turn.optimizer(stand_in)
        if turn.scheduler:
            scheduler = turn.scheduler(optimizer)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of steps that the optimiser has taken elsewhere
                for _ in range(number - 1):
                    scheduler.step()
        if turn.prepare is not leave:
            optimizer.register_step_pre_hook(lambda *_: prepare(turn, stand_in))
        return optimizer

    return make


def prepare(turn: TorchTurn, model: torch.nn.Module) -> None:
    """Lets the turn prepare its gradients; a hook may not return what that does, as a clipped norm."""
    turn.prepare(model)
