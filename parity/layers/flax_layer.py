"""Flax's layers, each on its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.errors import in_a_line
from d2l_jax.weights.leaf import export
from parity.arrays.key import Record, input_names
from parity.arrays.layout import Axes, Shape, as_flax, as_torch, named_leaves
from parity.arrays.torch_arrays import to_numpy
from parity.environment import Device
from parity.layers.layer import Layer
from parity.layers.padding import without_padding
from parity.layers.ports import Ports
from parity.models.flax_model import Part
from parity.models.random_numbers import imposed_on_jax
from parity.models.torch_buffers import frozen_parameters
from parity.sides.quick import quickly
from parity.twin.twin import Twin

Compiled = Callable[[Callable, Device], Callable]
AT_ONCE = 2**26  # bytes that the layers of one program are given, or else one layer


class Alone(NamedTuple):
    """A layer, what it is given, and Flax's part of it."""

    layer: Layer
    ports: Ports
    part: Part

    @property
    def size(self) -> int:
        """Returns how many bytes it is given."""
        weights = sum(x.nbytes for x in jax.tree.leaves(self.part.params))
        return weights + sum(x.nbytes for x in self.ports.tensors)


def flax_records(
    twin: Twin, alone: list[Alone], train: bool, device: Device, skipped: dict[str, str], compiled: Compiled = quickly
) -> tuple[list[Alone], list[Record]]:
    """Returns the layers that run on their own in Flax, with their records; `skipped` gets the others."""
    try:
        return alone, run_flax_layers(twin, alone, train, device, compiled)
    except Exception:  # of one of them: which, tells each by itself
        pass
    pairs: list[tuple[Alone, Record]] = []
    for each in alone:
        try:
            pairs += [(each, record) for record in run_flax_layers(twin, [each], train, device, compiled)]
        except Exception as error:
            skipped[each.layer.label] = f"it does not run on its own in Flax: {in_a_line(error)}"
    return [each for each, _ in pairs], [record for _, record in pairs]


def run_flax_layers(
    twin: Twin, layers: Sequence[Alone], train: bool, device: Device, compiled: Compiled = quickly
) -> list[Record]:
    """Returns the record of each layer; many are one program, which compiles in less time than one for each."""
    return [record for some in _together(layers) for record in _run_together(twin, some, train, device, compiled)]


def _together(layers: Sequence[Alone]) -> Iterator[list[Alone]]:
    some: list[Alone] = []
    for alone in layers:
        if some and sum(other.size for other in some) + alone.size > AT_ONCE:
            yield some
            some = []
        some.append(alone)
    if some:
        yield some


def _run_together(twin: Twin, layers: list[Alone], train: bool, device: Device, compiled: Compiled) -> list[Record]:
    programs = [_program(twin, alone, train) for alone in layers]
    numbers = [twin.batches[0].numbers(train)[slice(*alone.layer.ours.span)] for alone in layers]
    arguments = [
        Arguments(
            alone.part.params,
            alone.part.buffers,
            [to_numpy(x) for x in alone.ports.tensors],
            {name: to_numpy(alone.layer.theirs.cotangents[name]) for name in program.pulled},
            drawn,
        )
        for alone, program, drawn in zip(layers, programs, numbers, strict=True)
    ]
    results = compiled(partial(_isolated, programs), device)(arguments)
    return [_record(twin, alone, train, result) for alone, result in zip(layers, results, strict=True)]


def _features(twin: Twin, layer: Layer) -> tuple[int, ...]:
    """Returns the order in which a dense kernel's rows take PyTorch's columns, where that is another one."""
    kernels = [leaf for leaf in _own_leaves(twin, layer) if len(leaf.shape) == 2 and len(leaf.split) > 2]
    if len(kernels) != 1 or len(kernels[0].stored) != 2:
        return ()
    columns = np.broadcast_to(np.arange(kernels[0].shape[1]), kernels[0].shape)
    return tuple(kernels[0].to_flax(np.ascontiguousarray(columns))[:, 0].tolist())


def _program(twin: Twin, alone: Alone, train: bool) -> "LayerProgram":
    call = alone.layer.ours
    flat, tree = jax.tree.flatten((call.args, call.kwargs))
    places = tuple((i, tuple(x.shape)) for i, x in enumerate(flat) if hasattr(x, "shape"))
    static = tuple((i, x) for i, x in enumerate(flat) if not hasattr(x, "shape"))
    shapes = {name: tuple(x.shape) for name, x in named_leaves(alone.layer.theirs.output, "output")}
    pulled = tuple(name for name, *_ in alone.ports.outputs if name in alone.layer.theirs.cotangents)
    return LayerProgram(
        tree=tree,
        static=static,
        places=places,
        inputs=alone.ports.inputs,
        outputs=tuple((name, number, axes, shapes[name]) for name, number, axes in alone.ports.outputs),
        train=train,
        pulled=pulled,
        apply=alone.part.apply,
        features=_features(twin, alone.layer),
        varied=alone.ports.varied,
    )


def _record(twin: Twin, alone: Alone, train: bool, result: tuple) -> Record:
    layer = alone.layer
    outputs, buffers, grads, input_grads = result
    own = _own_leaves(twin, layer)
    valid = alone.ports.valid
    arrays = {name: np.asarray(array) for name, array in outputs.items()}
    record = layer.record("forward", {n: np.where(valid[n], a, 0) if n in valid else a for n, a in arrays.items()})
    record |= layer.record("buffers", export([x for x in own if not x.trained], buffers))
    if train and grads is not None:
        varied = [np.asarray(input_grads[i]) for i in alone.ports.varied]
        record |= layer.record("backward", dict(zip(input_names(len(varied)), varied, strict=True)))
        frozen = frozen_parameters(twin.torch.model)
        moved = [x for x in own if x.trained and frozen.isdisjoint(x.keys)]  # whole steps tell of the others
        record |= layer.record("backward", export(moved, grads))
    return without_padding(layer, record)


class Arguments(NamedTuple):
    """Everything that a layer's program is run on.

    tensors:    PyTorch's, in the order of the ports
    cotangents: by name, of the outputs
    numbers:    random ones, in the order in which Flax asks for them
    """

    params: Any
    buffers: Any
    tensors: list
    cotangents: dict
    numbers: tuple


@dataclass(frozen=True)
class LayerProgram:
    """A layer's computation.

    tree, static: of its arguments, and those that are no arrays: flags, axes, None
    places:       where among its arguments the arrays stand, and their shapes
    inputs, outputs: of its ports; the latter with PyTorch's shapes
    pulled:       the outputs that have cotangents
    features:     of a dense layer behind a flatten in another order than PyTorch's, which feature of PyTorch's each is
    varied:       of its ports, too
    """

    tree: Any
    static: tuple[tuple[int, Any], ...]
    places: tuple[tuple[int, Shape], ...]
    inputs: tuple[tuple[int, Axes], ...]
    outputs: tuple[tuple[str, int, Axes, Shape], ...]
    train: bool
    pulled: tuple[str, ...]
    apply: Callable
    features: tuple[int, ...] = ()
    varied: tuple[int, ...] = ()

    def run(self, params: Any, buffers: Any, tensors: list[jax.Array]) -> tuple[dict[str, jax.Array], Any]:
        flat = dict(self.static)
        for (place, shape), (number, axes) in zip(self.places, self.inputs, strict=True):
            x = as_flax(tensors[number], axes, shape)
            flat[place] = x[..., np.array(self.features)] if self.features and x.shape[-1] == len(self.features) else x
        args, kwargs = jax.tree.unflatten(self.tree, [flat[i] for i in range(len(flat))])
        output, changed = self.apply(params, buffers, args, kwargs)
        found = [array for _, array in named_leaves(output, "output")]
        return {name: as_torch(found[number], axes, shape) for name, number, axes, shape in self.outputs}, changed


def _isolated(programs: Sequence[LayerProgram], arguments: list[Arguments]) -> list[tuple]:
    return [_one_isolated(program, *inputs) for program, inputs in zip(programs, arguments, strict=True)]


def _one_isolated(
    program: LayerProgram, params: Any, buffers: Any, tensors: list, cotangents: dict, numbers: tuple
) -> tuple:
    def forward(params: Any, values: list) -> tuple[dict, tuple]:
        given = list(tensors)
        for i, value in zip(program.varied, values, strict=True):
            given[i] = value
        with imposed_on_jax(numbers):
            outputs, changed = program.run(params, buffers, given)
        return {name: outputs[name] for name in program.pulled}, (outputs, changed)

    values = [tensors[i] for i in program.varied]
    if not program.pulled or not program.train:
        _, (outputs, changed) = forward(params, values)
        return outputs, changed, None, None
    _, pull, (outputs, changed) = jax.vjp(forward, params, values, has_aux=True)
    like = {name: outputs[name].dtype for name in program.pulled}  # another one is told by the comparison
    grads, value_grads = pull({name: array.astype(like[name]) for name, array in cotangents.items()})
    by_place = dict(zip(program.varied, value_grads, strict=True))
    return outputs, changed, grads, [by_place.get(i, jnp.zeros(())) for i in range(len(tensors))]


def _own_leaves(twin: Twin, layer: Layer) -> list:
    """The layer's tensors, with paths that start at the layer."""
    depth = len(layer.ours.path)
    path = layer.ours.path
    prefix = f"{layer.theirs.name}."
    own = []
    for leaf in (x for x in twin.leaves if x.key.startswith(prefix)):
        if leaf.path[:depth] == path:
            own.append(replace(leaf, path=leaf.path[depth:]))
        elif not leaf.trained and leaf.path[1 : depth + 1] == path:
            own.append(replace(leaf, path=(leaf.path[0], *leaf.path[depth + 1 :])))
    return own
