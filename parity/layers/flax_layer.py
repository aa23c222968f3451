"""One layer of Flax's on its own."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.cpu import compile as users
from parity.arrays.key import Record, input_names
from parity.arrays.layout import Axes, inverse, named_leaves, transposed
from parity.arrays.torch_arrays import to_numpy
from parity.layers.layer import Layer
from parity.layers.ports import Ports
from parity.models.flax_model import Part
from parity.sides.flax import QUICK
from parity.twin.random_numbers import imposed_on_jax
from parity.twin.twin import Twin
from parity.weights.leaf import export


def run_flax_layer(twin: Twin, layer: Layer, ports: Ports, part: Part, train: bool, quick: bool) -> Record:
    call = layer.ours
    flat, tree = jax.tree.flatten((call.args, call.kwargs))
    places = [i for i, x in enumerate(flat) if hasattr(x, "shape")]
    static = tuple((i, x) for i, x in enumerate(flat) if i not in places)  # flags, axes, None
    cotangents = {name: layer.theirs.cotangents[name] for name, *_ in ports.outputs if name in layer.theirs.cotangents}
    numbers = twin.batches[0].random_numbers[slice(*call.span)] if train else ()
    given = [jnp.asarray(to_numpy(x)) for x in ports.tensors]
    program = LayerProgram(
        part.key,
        tree,
        repr(static),
        tuple(places),
        ports.inputs,
        ports.outputs,
        train,
        tuple(cotangents),
        static,
        part.apply,
    )
    pulled = {name: jnp.asarray(to_numpy(ct)) for name, ct in cotangents.items()}
    outputs, buffers, grads, input_grads = _jitted(quick)(
        program, part.params, part.buffers, given, pulled, tuple(map(jnp.asarray, numbers))
    )
    own = _own_leaves(twin, layer)
    record = layer.record("forward", {name: np.asarray(array) for name, array in outputs.items()})
    record |= layer.record("buffers", export([x for x in own if not x.trained], buffers))
    if train and cotangents:
        floating = [np.asarray(g) for g, x in zip(input_grads, ports.tensors, strict=True) if x.is_floating_point()]
        record |= layer.record("backward", dict(zip(input_names(len(floating)), floating, strict=True)))
        record |= layer.record("backward", export([x for x in own if x.trained], grads))
    return record


@dataclass(frozen=True)
class LayerProgram:
    """A layer's computation as a static argument: equal ones are compiled once."""

    key: Any
    tree: Any
    told: str
    places: tuple[int, ...]
    inputs: tuple[tuple[int, Axes], ...]
    outputs: tuple[tuple[str, int, Axes], ...]
    train: bool
    pulled: tuple[str, ...]
    static: tuple = field(compare=False)
    apply: Callable = field(compare=False)

    def run(self, params: Any, buffers: Any, tensors: list[jax.Array]) -> tuple[dict[str, jax.Array], Any]:
        flat = dict(self.static)
        for place, (number, axes) in zip(self.places, self.inputs, strict=True):
            flat[place] = transposed(tensors[number], inverse(axes))
        args, kwargs = jax.tree.unflatten(self.tree, [flat[i] for i in range(len(flat))])
        output, changed = self.apply(params, buffers, args, kwargs)
        found = [array for _, array in named_leaves(output, "output")]
        return {name: transposed(found[number], axes) for name, number, axes in self.outputs}, changed


@cache
def _jitted(quick: bool) -> Callable:
    return users.jit(_isolated, static_argnums=0, compiler_options=QUICK if quick else None)


def _isolated(program: LayerProgram, params: Any, buffers: Any, tensors: list, cotangents: dict, numbers: tuple) -> Any:
    floating = [i for i, x in enumerate(tensors) if jnp.issubdtype(x.dtype, jnp.floating)]

    def forward(params: Any, values: list) -> tuple[dict, tuple]:
        given = list(tensors)
        for i, value in zip(floating, values, strict=True):
            given[i] = value
        with imposed_on_jax(numbers):
            outputs, changed = program.run(params, buffers, given)
        return {name: outputs[name] for name in program.pulled}, (outputs, changed)

    values = [tensors[i] for i in floating]
    if not program.pulled or not program.train:
        _, (outputs, changed) = forward(params, values)
        return outputs, changed, None, None
    _, pull, (outputs, changed) = jax.vjp(forward, params, values, has_aux=True)
    like = {name: outputs[name].dtype for name in program.pulled}  # another one is told by the comparison
    grads, value_grads = pull({name: array.astype(like[name]) for name, array in cotangents.items()})
    by_place = dict(zip(floating, value_grads, strict=True))
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
