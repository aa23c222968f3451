"""A Case in PyTorch: its twin, its objectives and its optimisers, each found by the name it has in the Case."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import nn

from d2l_jax.case import Case
from d2l_jax.errors import InputError
from d2l_jax.turns import Measured, Turn
from parity import reference
from parity.reference import losses, metrics, optimizers, turns
from parity.reference.clip import clip_gradients
from parity.twin.rates import rate_at, scheduler_of
from parity.twin.twin import TorchSide, TorchTurn, leave


def torch_side(case: Case, probe: bool = False, checked: bool = False) -> TorchSide:
    """Returns PyTorch's side of a case.

    probe:   with the arguments of the parity check
    checked: with the evaluation of what runs after training, too
    """
    return TorchSide(torch_model(case, probe), tuple(map(torch_turn, case.turns)), torch_observe(case, checked))


def torch_observe(case: Case, checked: bool = False) -> Any:
    """Returns the evaluation of a case in PyTorch, None where there is none; `checked` as in `torch_side`."""
    evaluation = case.checked if checked else case.observe
    if isinstance(evaluation, Measured):
        measures = {name: metric.measure for name, metric in case.metrics.items() if metric.measure}
        twins = {name: namesake(measure, metrics) for name, measure in measures.items()}
        return turns.Measured(namesake(evaluation.evaluation, turns, losses, reference), twins)
    return None if evaluation is None else namesake(evaluation, turns, losses, reference)


def torch_model(case: Case, probe: bool = False) -> nn.Module:
    """Returns the twin, freshly initialised; several nets stand in an `nn.ModuleDict`."""
    args = case.args | case.probe if probe else case.args
    if case.model is None:
        return nn.ModuleDict()
    if isinstance(case.model, Mapping):
        nets = {name: namesake(make, reference)(**args.get(name, {})) for name, make in case.model.items()}
        return nn.ModuleDict(nets)
    return namesake(case.model, reference)(**args)


def torch_turn(turn: Turn) -> TorchTurn:
    """Returns the same turn in PyTorch."""
    return TorchTurn(
        objective=namesake(turn.objective, turns, losses, reference),
        optimizer=partial(torch_optimizer, turn),
        trains=turn.trains,
        name=turn.name,
        prepare=torch_clipping(turn),
        scheduler=scheduler_of(turn.optimizer),
    )


def torch_optimizer(turn: Turn, model: nn.Module) -> torch.optim.Optimizer:
    """Returns the optimiser of `torch.optim`, or the book's own one.

    `groups` become parameter groups; the first that fits a name wins.
    """
    make = namesake(turn.optimizer, torch.optim, optimizers)
    groups = make.keywords.pop("groups", None) or {}
    if callable(rate := make.keywords.get("lr")):
        make = partial(make, lr=rate_at(rate, 0))
    sorted_in: dict[str, list[nn.Parameter]] = {ending: [] for ending in (*groups, "")}
    for name, parameter in moved(turn, model):
        sorted_in[next(ending for ending in sorted_in if name.endswith(ending))].append(parameter)
    filled = [{"params": p, **groups.get(ending, {})} for ending, p in sorted_in.items() if p]
    return make(filled or [{"params": []}])  # a layer without parameters learns nothing, and may be compared


def moved(turn: Turn | TorchTurn, model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Returns the parameters that the turn moves."""
    return [(name, p) for name, p in model.named_parameters() if name.startswith(turn.trains)]


def freeze(turn: Turn | TorchTurn, model: nn.Module) -> None:
    """Lets PyTorch compute no gradient of the parameters that the turn does not move."""
    moving = {name for name, _ in moved(turn, model)}
    for name, parameter in model.named_parameters():
        if name not in moving:
            parameter.requires_grad_(False)


def torch_clipping(turn: Turn) -> Callable[[nn.Module], None]:
    """Returns model -> None, which scales the turn's gradients down as the Case says, after the backward pass."""
    theta = turn.clip
    if theta is None:
        return leave
    return lambda model: clip_gradients([p for _, p in moved(turn, model)], theta)


def namesake(function: Any, *modules: ModuleType) -> Any:
    """Returns what is called like `function` in one of the modules, with the same arguments bound to it.

    A dataclass that is called, as `Supervised`, has the namesakes of its functions as members.

    Raises InputError where nothing is called so.
    """
    if isinstance(function, partial):
        return partial(namesake(function.func, *modules), *function.args, **function.keywords)
    instance = is_dataclass(function) and not isinstance(function, type)
    name = type(function).__name__ if instance else getattr(function, "__name__", str(function))
    place = next((module for module in modules if hasattr(module, name)), None)
    if place is None:
        listed = " or ".join(module.__name__ for module in modules)
        raise InputError(f"{name} has no namesake in {listed}; a pair, (Flax's, PyTorch's), is right then")
    if not instance:
        return getattr(place, name)
    members = {each.name: getattr(function, each.name) for each in fields(function)}
    return getattr(place, name)(**{n: namesake(v, *modules) if callable(v) else v for n, v in members.items()})
