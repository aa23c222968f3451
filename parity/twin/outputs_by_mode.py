"""Models with other outputs in evaluation than in training, where further heads help them learn.

The loss is that of training: in evaluation there is none, and the outputs alone are compared.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax

from parity.arrays.layout import Axes, between, named_leaves
from parity.models.flax_model import FlaxModel, called
from parity.twin.inputs import Inputs
from parity.twin.traces import outputs_alone, trace_flax, trace_torch
from parity.twin.twin import FlaxSide, TorchSide, Twin


def outputs_of(flax: FlaxModel, inputs: Inputs, train: bool) -> Any:
    """Returns what Flax's model puts out in a mode, with shapes in place of arrays."""
    run = partial(flax.run, called, train=train)
    return jax.eval_shape(lambda *args: run(*args)[0], flax.params, flax.buffers, *inputs.arrays)


def are_others(evaluation: Any, training: Any) -> bool:
    """Tells whether outputs, given as shapes, differ in number, name or shape."""
    names = [{name: x.shape for name, x in named_leaves(outputs, "output")} for outputs in (evaluation, training)]
    return names[0] != names[1]


def without_loss(ours: FlaxSide, theirs: TorchSide) -> tuple[FlaxSide, TorchSide]:
    """Returns both sides, which are evaluated by their outputs alone."""
    evaluated = partial(outputs_alone)  # another function than that which is traced in training
    return replace(ours, observe=evaluated), replace(theirs, observe=evaluated)


def with_axes(twin: Twin) -> Twin:
    """Returns the twin, which knows the order of axes of the outputs in evaluation, too."""
    batch = {"input": twin.batches[0].tensors["input"]}
    ours = trace_flax(twin.flax, batch, twin.names, [outputs_alone], False).shapes
    theirs = trace_torch(twin.torch, batch, twin.axes, twin.names, [outputs_alone], False).shapes
    both = ours.keys() & theirs.keys()
    alike = [name for name in both if sorted(ours[name]) == sorted(theirs[name])]
    axes: dict[str, Axes] = {name: between(ours[name], theirs[name]) for name in alike}
    return replace(twin, axes=axes | twin.axes)
