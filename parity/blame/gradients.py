"""Why gradients differ where all that is computed forward is right: one is stopped, scaled, or has another slope."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map

from parity.arrays.key import Key, Record
from parity.arrays.torch_arrays import to_numpy
from parity.blame.diagnosis.cause import Cause, choose
from parity.blame.diagnosis.functions import Altering, function_trials, stopped, straight_through, targets
from parity.blame.diagnosis.functions.altering import Choice, Find
from parity.blame.diagnosis.functions.alternative import Alternatives
from parity.blame.diagnosis.functions.slopes import SLOPES
from parity.blame.diagnosis.functions.table import DETACH, alternatives_of, each
from parity.blame.diagnosis.threads import one_thread
from parity.blame.padding_gradients import padding_trials
from parity.blame.scaled_gradients import Flowing, scaled_trials
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import gradient, leaves, parameters, touched
from parity.twin.twin import State, Twin

OF_SUMS = ("add", "radd", "iadd", "sub", "isub")
SUMS = each(straight_through.missing, targets.exchanged)


@one_thread()
def explain_gradients(twin: Twin, state: State, oracle: Record, flax: Record) -> Cause | None:
    """Returns the call of `detach` that Flax lacks, another slope at 0, or where Flax stops, scales or sends it."""
    if len(twin.torch.turns) != 1:
        return None
    keys = [key for key in oracle if key.step == 1 and key.phase == "gradients" and not key.layer and key in flax]
    run = TorchRun(twin, "float64", "cpu")
    names = {name for name, _ in parameters(run.model)}
    keys = [key for key in keys if key.tensor in names or key.is_input]

    def gradients(mode: Altering | Flowing) -> list[np.ndarray]:
        found, loss = gradients_under(run, twin, state, mode.running())
        return [loss, *(found[key.tensor] for key in keys)]

    def altering(choice: Choice, find: Find = _alternatives) -> tuple[list[np.ndarray], Altering]:
        mode = Altering(run.model, choice, find=find)
        return gradients(mode), mode

    def candidates() -> Iterator[tuple]:
        unaltered = lambda: gradients(Altering(run.model, lambda *_: None))  # noqa: E731
        yield from function_trials(altering)
        yield from padding_trials(run.model, unaltered)
        yield from _stopped(run.model, unaltered)
        yield from function_trials(partial(altering, find=stopped.alternatives_of))
        yield from scaled_trials(run.model, ours, gradients)

    loss = Key(1, "forward", "loss", twin.torch.turns[0].name)  # which stays as it is
    theirs, ours = ([np.asarray(record[key], np.float64) for key in (loss, *keys)] for record in (oracle, flax))
    return choose(theirs, ours, candidates())


def _alternatives(name: str, right: bool) -> Alternatives | None:
    """Returns what alters gradients alone, if at all."""
    return alternatives_of(name) if name == DETACH else SUMS if name in OF_SUMS else SLOPES.get(name)


def _stopped(model: torch.nn.Module, run: Callable[[], list[np.ndarray]]) -> Iterator[tuple]:
    """Yields the gradients with each module's outputs detached."""
    for name, module in model.named_modules():
        if not name:
            continue
        handle = module.register_forward_hook(lambda module, args, output: _detached(output))
        try:
            yield "stop-gradient", f"Flax stops the gradient behind {name}, PyTorch does not", run(), name
        except RuntimeError:  # nothing is left that has a gradient
            continue
        finally:
            handle.remove()


def _detached(value: Any) -> Any:
    return tree_map(lambda x: x.detach() if isinstance(x, torch.Tensor) else x, value)


def gradients_under(
    run: TorchRun, twin: Twin, state: State, mode: AbstractContextManager[Any]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns the gradients of PyTorch's first step whose forward pass is within the mode, and the loss."""
    run.load(state)
    run.model.train()
    run.model.zero_grad()
    batch = twin.batches[0]
    tensors = run.batch(batch)
    with torch_precision(run.dtype), ImposedOnTorch(twin.torch_numbers(batch)), mode:
        loss, _ = run.turns[0].objective(run.model, touched(tensors))
    loss.backward()
    inputs = {name: gradient(x) for name, x in leaves(tensors) if x.requires_grad and x.is_leaf}
    of_parameters = run.compared({name: gradient(p) for name, p in parameters(run.model)}, mean=True)
    return inputs | of_parameters, to_numpy(loss)
