"""The part of a step that one of several optimisers has in it."""

import copy
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace

import torch

from parity.arrays.key import Record
from parity.training_step.judged import Outcome
from parity.training_step.pair import StepPair
from parity.training_step.several_optimizers import Optimizers


def of_each_optimizer(
    pair: StepPair, outcomes: Sequence[Outcome], wrong: Container[str]
) -> Iterator[tuple[StepPair, Sequence[Outcome], list[str]]]:
    """Yields all that concerns each optimiser, in the order of their steps, and the wrong tensors that it moves.

    wrong: tensors; of the only optimiser, none are told
    """
    optimizer = pair.torch.optimizer
    if not isinstance(optimizer, Optimizers):
        yield pair, outcomes, []
        return
    names = {id(parameter): name for name, parameter in pair.torch.model.named_parameters()}
    stepping = {id(each): each for outcome in outcomes for each in outcome.seen.optimizers}
    for one in stepping.values():
        tensors = [names.get(id(p), "") for group in one.param_groups for p in group["params"]]
        side = copy.copy(pair.torch)
        side.optimizer = one
        if guilty := [name for name in tensors if name in wrong]:
            yield replace(pair, torch=side), [_narrowed(outcome, one, set(tensors)) for outcome in outcomes], guilty


def _narrowed(outcome: Outcome, optimizer: torch.optim.Optimizer, tensors: set[str]) -> Outcome:
    seen = outcome.seen
    calls = [number for number, each in enumerate(seen.optimizers) if each is optimizer]
    narrow = replace(
        seen,
        passes=seen.passes[: seen.backward[calls[-1]]] if calls else seen.passes,
        applied=[seen.applied[number] for number in calls],
        options=[seen.options[number] for number in calls],
    )

    def of_tensors(record: Record) -> Record:
        moves = ("update", "optimizer", "gradients")
        return {key: array for key, array in record.items() if key.phase not in moves or key.tensor in tensors}

    return replace(outcome, seen=narrow, oracle=of_tensors(outcome.oracle), flax=of_tensors(outcome.flax))
