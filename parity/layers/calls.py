"""The calls that both models make of their layers, recorded on either side."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import torch

from parity.arrays.layout import named_leaves
from parity.models.calls import Path, TorchCall, torch_calls
from parity.models.random_numbers import requested
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.sides.flax import FlaxRun, imposed, named_tensors, precision
from parity.sides.quick import quickly
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import passed_on, touched
from parity.twin.twin import Batch, FlaxSide, Twin, in_turn


@dataclass
class FlaxCall:
    """A call of a submodule of Flax's, with shapes in place of arrays."""

    path: Path
    number: int
    module: Any
    args: tuple
    kwargs: dict
    output: Any = None
    span: tuple[int, int] = (0, 0)


class Values(NamedTuple):
    """The arrays of one call in the model's own run."""

    inputs: list[jax.Array]
    outputs: list[jax.Array]


def label(call: TorchCall) -> str:
    return call.name if not call.number else f"{call.name} (call {call.number + 1})"


def layer_calls(twin: Twin, run: TorchRun, batch: Batch, train: bool) -> list[TorchCall]:
    """Returns PyTorch's calls in the order of their starts; in training with the cotangents of the loss."""
    run.model.train(train)
    tensors = run.batch(batch)
    drawing = ImposedOnTorch(twin.torch_numbers(batch, train))
    recorded = torch_calls(run.model, lambda: len(drawing.seen))
    with recorded as calls, torch_precision(run.dtype), torch.set_grad_enabled(train):
        for turn in twin.torch.turns if train else ():
            drawing.more_to_come = turn is not twin.torch.turns[-1]
            with drawing:
                loss, more = turn.objective(run.model, touched(tensors))
            if loss.requires_grad:
                loss.backward()
            tensors = passed_on(turn, tensors, loss, more)
        if not train and twin.torch.observe:
            with drawing if twin.evaluation_order else nullcontext():
                twin.torch.observe(run.model, tensors)
    run.load(twin.start)  # the statistics have moved
    return calls


def functions_of(side: FlaxSide, train: bool) -> list[Callable]:
    """Returns what is run in that mode: the objectives of all turns, or the evaluation."""
    if train:
        return [lambda nets, tensors: [more for _, _, more in in_turn(side.turns, nets, tensors)]]
    return [side.observe] if side.observe else []


def traced_calls(side: FlaxSide, own: FlaxRun, batch: Batch, train: bool) -> list[FlaxCall]:
    """Returns Flax's calls in the order of their starts, by a trace alone, in the precision of the run."""
    calls: list[FlaxCall] = []
    counts: dict[Path, int] = {}
    drawn = 0

    def count() -> str:
        nonlocal drawn
        drawn += 1
        return ""

    def around(path: Path, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
        found = FlaxCall(path, counts.get(path, 0), module, *map(shapes_of, (args, kwargs)), span=(drawn, 0))
        counts[path] = found.number + 1
        calls.append(found)
        output = call(*args, **kwargs)
        found.output = shapes_of(output)
        found.span = (found.span[0], drawn)
        return output

    def run(params: Any, buffers: Any, tensors: Any) -> None:
        for function in functions_of(side, train):
            own.flax.run(function, params, buffers, tensors, train=train, around=around)

    with precision(own.device, dtype=own.dtype):
        given = (_floats(x, own.dtype) for x in (own.flax.params, own.flax.buffers, batch.tensors))
        requested(run, *given, site=count)
    return calls


def _floats(tree: Any, dtype: str) -> Any:
    """Returns the tree with shapes of that dtype in the place of floating-point arrays."""

    def shape(x: Any) -> Any:
        floating = hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)
        return jax.ShapeDtypeStruct(x.shape, dtype) if floating else x

    return jax.tree.map(shape, tree)


def given_values(
    twin: Twin, run: FlaxRun, train: bool, outputs: dict[tuple[Path, int], Any] | None = None
) -> dict[tuple[Path, int], Values]:
    """Returns what each submodule is given, and makes of it, in the model's own run: an inherited error shows here.

    outputs: of calls that hand this on in place of what they compute
    """
    instead = outputs or {}

    def apply(params: Any, buffers: Any, tensors: dict) -> dict:
        found: dict[tuple[Path, int], Values] = {}
        counts: dict[Path, int] = {}

        def around(path: Path, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
            number = counts[path] = counts.get(path, -1) + 1
            given = [x for x in jax.tree.leaves((args, kwargs)) if hasattr(x, "shape")]
            found[path, number] = Values(given, [])
            output = call(*args, **kwargs)
            found[path, number].outputs.extend(jnp.asarray(x) for _, x in named_leaves(output, ""))
            return jax.tree.map(jnp.asarray, instead[path, number]) if (path, number) in instead else output

        named = named_tensors(tensors)
        with imposed(tensors, train):
            for function in functions_of(twin.flax, train):
                run.flax.run(function, params, buffers, named, train=train, around=around)
        keys.extend(found)
        return dict(enumerate(found.values()))

    keys: list[tuple[Path, int]] = []
    with precision(run.device, dtype=run.dtype):
        values = quickly(apply, run.device)(*run.load(twin.start), run.tensors(twin.batches[0]))
    return {key: values[i] for i, key in enumerate(keys)}


def shapes_of(tree: Any) -> Any:
    leaf = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype) if hasattr(x, "shape") and hasattr(x, "dtype") else x  # noqa: E731
    return jax.tree.map(leaf, tree)
