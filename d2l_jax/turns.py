"""Turns: a training step is a list of updates over named tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import optax
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.tree_util import DictKey
from jaxtyping import Array

from d2l_jax import optim
from d2l_jax.errors import InputError
from d2l_jax.metrics import PARTS, Metric, measured
from d2l_jax.optim.groups import torch_name

Tree = dict[str, Any]
Tensors = dict[str, Any]  # inputs, targets, masks, outputs, losses: an array, or a tuple of them, by name
Nets = Any  # the model, which is called; or several by name, nets["net_D"]
Objective = Callable[[Nets, Tensors], tuple[Array, Tensors]]


class Turn(NamedTuple):
    """An update: what is minimised, which leaves it moves, and how.

    objective: (nets, tensors) -> (loss, further tensors that may be compared or measured)
    optimizer: () -> the Optax transformation; in a Case a `partial` of a factory of `d2l_jax.optim`
    trains:    start of the PyTorch names of the leaves that move, e.g. "net_D.", or several such; "" is all of them
    name:      "" for the only turn
    clip:      norm above which the gradients of the turn's leaves together are scaled down; None leaves them
    """

    objective: Objective
    optimizer: Callable[..., optax.GradientTransformation]
    trains: str | tuple[str, ...] = ""
    name: str = ""
    clip: float | None = None

    def transformation(self) -> optax.GradientTransformation:
        """Returns the optimiser, behind the clipping."""
        if self.clip is None:
            return self.optimizer()
        return optax.chain(optim.clip_gradients(self.clip), self.optimizer())

    @property
    def loss_name(self) -> str:
        """The name of the turn's loss among the tensors: "loss", or "generator_loss"."""
        return loss_name(self.name)


@dataclass(frozen=True)
class Supervised:
    """An objective: the loss of the outputs for "input" against "targets", and a penalty on the parameters.

    loss:    (outputs, targets) -> scalar
    penalty: (parameters as a plain dict) -> scalar; None adds nothing
    """

    loss: Callable[[Any, Any], Array]
    penalty: Callable[[Tree], Array] | None = None

    def __call__(self, nets: Nets, tensors: Tensors) -> tuple[Array, Tensors]:
        """Returns (loss + penalty, {"output": the model's outputs})."""
        _check_named(tensors)
        outputs = nets(*arguments(tensors["input"]))
        loss = self.loss(outputs, tensors["targets"])
        if self.penalty:
            loss = loss + self.penalty(nnx.to_pure_dict(nnx.state(nets, nnx.Param)))
        return loss, {"output": outputs}


@dataclass(frozen=True)
class Observed:
    """An evaluation: the outputs for "input", and their loss against "targets"."""

    loss: Callable[[Any, Any], Array]

    def __call__(self, nets: Nets, tensors: Tensors) -> Tensors:
        """Returns {"output": ..., "loss": ...}."""
        _check_named(tensors)
        outputs = nets(*arguments(tensors["input"]))
        return {"output": outputs, "loss": self.loss(outputs, tensors["targets"])}


@dataclass(frozen=True)
class Both:
    """An evaluation of two parts."""

    first: Callable[[Any, Tensors], Tensors]
    second: Callable[[Any, Tensors], Tensors]

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns the tensors of either."""
        return self.first(nets, tensors) | self.second(nets, tensors)


@dataclass(frozen=True)
class Measured:
    """An evaluation, and what the metrics of an epoch are made of."""

    evaluation: Callable[[Any, Tensors], Tensors]
    metrics: Mapping[str, Metric]

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns the tensors of the evaluation, and for each metric two numbers, "sum of ..." and "count of ..."."""
        observed = self.evaluation(nets, tensors)
        figures = measured(self.metrics, tensors | observed).items()
        return observed | {f"{part} of {name}": x for name, pair in figures for part, x in zip(PARTS, pair)}


def supervised(
    loss: Callable[[Any, Any], Array],
    optimizer: Callable[..., optax.GradientTransformation] | optax.GradientTransformation,
    clip: float | None = None,
    penalty: Callable[[Tree], Array] | None = None,
    trains: str | tuple[str, ...] = "",
) -> tuple[Turn]:
    """Returns the one turn of supervised learning; `optimizer` is a factory, or a transformation itself."""
    ready = isinstance(optimizer, optax.GradientTransformation)
    make = (lambda: optimizer) if ready else optimizer
    return (Turn(Supervised(loss, penalty), make, trains, clip=clip),)  # type: ignore[arg-type]


def _check_named(tensors: Tensors) -> None:
    """Raises InputError where the inputs or the targets of supervised learning have another name."""
    if missing := [name for name in ("input", "targets") if name not in tensors]:
        raise InputError(f"the batch has {', '.join(map(repr, tensors))}, no {' and no '.join(map(repr, missing))}")


def arguments(inputs: Any) -> tuple[Any, ...]:
    """Returns what a model is called with: several inputs stand in a tuple."""
    return inputs if isinstance(inputs, tuple) else (inputs,)


def parted(params: Tree, trains: str | tuple[str, ...]) -> tuple[Tree, Tree]:
    """Returns (the leaves that a turn moves, the others), each a plain dict."""
    if not trains:
        return params, {}
    moving = dict[tuple, Any]()
    fixed = dict[tuple, Any]()
    for path, leaf in flatten_dict(params).items():
        (moving if name_of(path).startswith(trains) else fixed)[path] = leaf
    return unflatten_dict(moving), unflatten_dict(fixed)


def united(moving: Tree, fixed: Tree) -> Tree:
    """Returns the dict that `parted` took apart."""
    return unflatten_dict(flatten_dict(moving) | flatten_dict(fixed)) if fixed else moving


def name_of(path: tuple) -> str:
    """Returns PyTorch's name of the leaf at `path` of a plain dict."""
    return torch_name(tuple(DictKey(key) for key in path))


def are_turns(given: Any) -> bool:
    """Tells whether it is a sequence of turns."""
    several = isinstance(given, list | tuple) and not isinstance(given, Turn)
    return several and all(isinstance(each, Turn) for each in given)


def check_are_turns(turns: Any) -> None:
    """Raises InputError where they are no sequence of turns."""
    if not are_turns(turns):
        kind = type(turns).__name__
        raise InputError(f"turns are of type {kind}; supervised(loss, optimizer), or a list of Turns, is right")


def check_turns(turns: Sequence[Turn], names: Sequence[str]) -> None:
    """Raises InputError where a turn moves nothing, or two of them have one name or move the same leaf.

    names: of all parameters, as PyTorch calls them
    """
    check_are_turns(turns)
    moved_by: dict[str, Turn] = {}
    by_name: dict[str, Turn] = {}
    for turn in turns:
        if by_name.setdefault(turn.name, turn) is not turn:
            raise InputError(f"{_called(turn)} is there twice; a name of its own for each turn is right")
        moved = [name for name in dict.fromkeys(names) if name.startswith(turn.trains)]
        if turn.trains and not moved:
            listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise InputError(
                f'{_called(turn)} trains "{_listed(turn.trains)}", which no parameter starts with: {listed}'
            )
        for name in moved:
            if name in moved_by:
                raise InputError(f"{_called(moved_by[name])} and {_called(turn)} both train {name}; one turn is right")
            moved_by[name] = turn


def _listed(trains: str | tuple[str, ...]) -> str:
    return trains if isinstance(trains, str) else ", ".join(trains)


def _called(turn: Turn) -> str:
    return f"turn {turn.name!r}" if turn.name else "the turn without a name"


def loss_name(turn: str) -> str:
    """Returns the name of the loss of a turn of that name, for both frameworks."""
    return f"{turn}_loss" if turn else "loss"


def parameter_names(params: Tree) -> list[str]:
    """Returns the PyTorch name of every leaf."""
    return [name_of(path) for path in flatten_dict(params)]
