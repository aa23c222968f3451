"""One traced run of each side: the shapes of what it makes, and its requests for random numbers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from d2l_jax.turns import Tensors, arguments
from parity.arrays.layout import Axes, copied, named_leaves
from parity.match.randomized import randomize
from parity.models.calls import TorchCall, torch_calls
from parity.models.copies import copy_of
from parity.models.flax_model import FlaxModel
from parity.models.keys_of_draws import Draw, draws_of, repeated
from parity.models.random_numbers import RandomRequest, requested
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.twin.half_precision import NoHalves
from parity.twin.idle_draws import is_dropout, told_idle, told_idle_in_flax
from parity.twin.modules import site_of
from parity.twin.twin import FlaxSide, TorchSide, in_turn

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Traced:
    """The shapes of the tensors that a side makes, by name, and its requests for random numbers.

    repeated: of requests by a key that was used before, the first one by it
    asked:    returns PyTorch's requests again, those marked as idle whose mask nothing depends on
    """

    shapes: Shapes
    requests: list[RandomRequest]
    repeated: Mapping[int, int] = field(default_factory=dict)
    asked: Callable[[], list[RandomRequest]] = list

    @property
    def awake(self) -> int:
        """The number of requests on which something depends."""
        return sum(not request.idle for request in self.requests)


def outputs_alone(nets: Any, tensors: Tensors) -> Tensors:
    """Returns what the nets make of the inputs."""
    return {"output": nets(*arguments(tensors["input"]))}


def _functions(turns: Sequence[Any], observe: Any, forward: list[Callable]) -> list[Callable]:
    """Returns what is run to see the outputs: the model itself, or else all objectives and the evaluation."""
    if forward:
        return forward
    return ([partial(_further, turns)] if turns else []) + ([observe] if observe else [])


def _further(turns: Sequence[Any], nets: Any, tensors: Tensors) -> Tensors:
    """Returns what all objectives return beside their losses."""
    return {name: value for _, _, more in in_turn(turns, nets, tensors) for name, value in more.items()}


def trace_flax(
    side: FlaxSide, batch: Tensors, names: dict[str, tuple], forward: list[Callable], train: bool = True
) -> Traced:
    """Traces Flax's side, without computing anything."""
    stack: list[tuple] = []
    shapes: Shapes = {}
    flax: FlaxModel = side.model
    by_path = {path: name for name, path in names.items()}

    def around(path: tuple, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
        stack.append(path)
        try:
            return call(*args, **kwargs)
        finally:
            stack.pop()

    def run(functions: list[Callable], params: Any, buffers: Any, tensors: Tensors) -> None:
        for function in functions:
            results, _ = flax.run(function, params, buffers, tensors, train=train, around=around)
            shapes.update({key: x.shape for name, value in results.items() for key, x in named_leaves(value, name)})

    objectives = _functions(side.turns, None, forward)
    site = lambda: site_of(stack, by_path)  # noqa: E731
    place = lambda: ".".join(map(str, stack[-1])) if stack else ""  # noqa: E731
    held = flax.params, flax.buffers, batch
    requests = requested(partial(run, objectives), *held, site=site, place=place)
    if not forward and side.observe:
        requested(partial(run, [side.observe]), *held)
    draws = _draws(flax.as_written, objectives, batch, train) if requests else []
    if len(draws) < len(requests):
        requests = told_idle_in_flax(flax, objectives, requests, *held, train=train)
    return Traced({key: shape for key, shape in shapes.items() if key != "loss"}, requests, repeated(requests, draws))


def _draws(model: FlaxModel, functions: list[Callable], batch: Tensors, train: bool) -> list[Draw]:
    """Returns the draws of Flax's model as it is, in the order in which it makes them."""

    def run(params: Any, buffers: Any, tensors: Tensors) -> list[Any]:
        return [model.run(function, params, buffers, tensors, train=train)[0] for function in functions]

    return draws_of(run, model.params, model.buffers, batch)


def trace_torch(
    side: TorchSide,
    batch: Tensors,
    axes: dict[str, Axes],
    names: dict[str, tuple],
    forward: list[Callable],
    train: bool = True,
) -> Traced:
    """Runs a copy of PyTorch's side, in training mode or not."""
    run = copy_of(side.model).cpu().train()
    dtype = next((p.dtype for p in run.parameters() if p.is_floating_point()), torch.float32)

    def as_torch(value: Any, name: str) -> Any:
        if isinstance(value, tuple):
            return tuple(as_torch(x, f"{name}.{i}") for i, x in enumerate(value))
        tensor = torch.as_tensor(copied(value, axes[name]))
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    tensors = {name: as_torch(value, name) for name, value in batch.items()}
    shapes: Shapes = {}
    drawn = list[tuple[list[RandomRequest], Callable[[], Tensors]]]()
    for function in _functions(side.turns, side.observe, forward):
        with torch.no_grad(), NoHalves(type(side.model).__name__), torch_calls(run) as calls:
            open_calls = lambda calls=calls: [call.name for call in calls if call.output is None]  # noqa: E731
            site = lambda open_calls=open_calls: site_of(open_calls(), {name: name for name in names})  # noqa: E731
            imposed = nullcontext() if function is side.observe else ImposedOnTorch(None, site, partial(_place, calls))
            with imposed as drawing:
                results = function(run.train(train and function is not side.observe), tensors)
        again = partial(_with_random_weights, function, side.model, train, tensors)
        drawn += [(told_idle(drawing.seen, again), again)] if drawing else []
        shapes.update({key: tuple(x.shape) for name, value in results.items() for key, x in named_leaves(value, name)})
    asked = lambda: [x for requests, again in drawn for x in told_idle(requests, again, is_dropout)]  # noqa: E731
    plain = [request for requests, _ in drawn for request in requests]
    return Traced({key: shape for key, shape in shapes.items() if key != "loss"}, plain, asked=asked)


def _with_random_weights(function: Callable, model: torch.nn.Module, train: bool, tensors: Tensors) -> Tensors:
    """Runs a copy of the model whose weights are random, so that none is 0 and hides what stands before it.

    What it leaves in buffers is among the results.
    """
    model = copy_of(model).cpu().train(train)
    randomize(model, np.random.default_rng(0))
    return function(model, tensors) | {"buffers": dict(model.named_buffers())}


def _place(calls: Sequence[TorchCall]) -> str:
    """The innermost call that is going on; in the model's own body, behind which layer."""
    going = [call for call in calls if call.output is None]
    name = going[-1].name if going else ""
    ended = next((call.name for call in reversed(calls) if call.output is not None and call.parent in going[-1:]), "")
    return name + f"{' ' if name else ''}after {ended}" * bool(ended)
