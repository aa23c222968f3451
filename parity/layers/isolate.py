"""Each submodule on its own: the same inputs and cotangents, PyTorch's, on both sides.

So a layer's own error is told from the one that it inherits, in both directions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.utils._pytree import tree_map

from parity.arrays.layout import Axes, between, inverse, named_leaves, transposed
from parity.arrays.torch_arrays import to_numpy
from parity.compare.rows import Policy, Row, compare_semantics, noise_of
from parity.environment import Device
from parity.models.calls import Path, TorchCall, torch_calls
from parity.models.flax_model import FlaxModel, Part
from parity.sides.disturb import one_ulp
from parity.sides.flax import DRAWS, FlaxRun, precision
from parity.sides.keys import input_names
from parity.sides.torch import Record, TorchRun, touched
from parity.twin.draws import imposed_on_jax, requested
from parity.twin.draws_torch import ImposedOnTorch
from parity.twin.pairing import longest_sum
from parity.twin.twin import Batch, FlaxSide, Twin
from parity.weights.leaf import export

PROBES = 2


@dataclass
class FlaxCall:
    """One call of a submodule of Flax's, with shapes in place of arrays."""

    path: Path
    number: int
    module: Any
    args: tuple
    kwargs: dict
    output: Any = None
    span: tuple[int, int] = (0, 0)


@dataclass
class Layer:
    """One call that both models make.

    oracle, flax: what either side makes of PyTorch's inputs and cotangents, {"forward/output": array}
    """

    label: str
    theirs: TorchCall
    ours: FlaxCall
    oracle: Record = field(default_factory=dict)
    flax: Record = field(default_factory=dict)


@dataclass
class Isolated:
    """What isolation found.

    skipped:  {label: why the two calls cannot be compared}
    received: what each layer got in the models' own runs, {label.input: (PyTorch's, Flax's)}, in order; with
              `containers` alone
    """

    rows: list[Row] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    received: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def isolate(
    twin: Twin, torch_device: str, jax_device: Device, policy: Policy, *, containers: bool, train: bool = True
) -> Isolated:
    """Every layer that both models have, and with `containers` every module around some, in float64."""
    run = TorchRun(twin, "float64", torch_device)
    run.load(twin.start)
    flax_run = FlaxRun(twin, "float64", jax_device)
    theirs = _torch_calls(twin, run, twin.batches[0], train)
    ours = {(call.path, call.number): call for call in _flax_calls(twin.flax, flax_run.flax, twin.batches[0], train)}
    found, oracle, flax = Isolated(), {}, {}
    noisy: list[Record] = [{} for _ in range(PROBES)]
    shared = [call for call in theirs if call.name in twin.names and (twin.names[call.name], call.number) in ours]
    values = _flax_values(twin, flax_run, train) if containers else {}
    with precision(jax_device):
        params, buffers = flax_run.load(twin.start)
        for call in shared:
            if not call.name or not containers and any(child in shared for child in _below(call)):
                continue
            partner = ours[twin.names[call.name], call.number]
            layer = Layer(label(call), call, partner)
            try:
                ports = Ports.of(call, partner)
                found.received |= _received(layer, ports, values)
                part = flax_run.flax.part(partner.module, partner.path, params, buffers, train=train)
                layer.flax = _run_flax(twin, layer, ports, part, train, jax_device.platform == "cpu")
                layer.oracle = _run_torch(twin, run, layer, ports, train, np.asarray)
                probes = [_run_torch(twin, run, layer, ports, train, one_ulp(seed)) for seed in range(PROBES)]
            except Mismatch as problem:
                found.skipped[layer.label] = str(problem)
                continue
            found.layers.append(layer)
            oracle |= _at(layer, layer.oracle)
            flax |= _at(layer, layer.flax)
            for noise, probe in zip(noisy, probes, strict=True):
                noise |= _at(layer, probe)
    found.rows = compare_semantics(oracle, flax, noise_of(oracle, noisy), longest_sum(twin), policy) if oracle else []
    return found


class Mismatch(Exception):
    """Two calls whose arguments or results are not of the same kind: nothing is said about them."""


def label(call: TorchCall) -> str:
    return call.name if not call.number else f"{call.name} (call {call.number + 1})"


def _at(layer: Layer, record: Record) -> Record:
    found = {}
    for key, array in record.items():
        phase, _, name = key.partition("/")
        found[f"layer {phase}/{layer.label}.{name}"] = array
    return found


def _below(call: TorchCall) -> Iterator[TorchCall]:
    for child in call.children:
        yield child
        yield from _below(child)


def _torch_calls(twin: Twin, run: TorchRun, batch: Batch, train: bool) -> list[TorchCall]:
    """In the order of their starts; in training with the cotangents of the loss."""
    run.model.train(train)
    tensors = run.batch(batch)
    drawing = ImposedOnTorch(twin.torch_draws(batch) if train else ())
    with torch_calls(run.model, lambda: len(drawing.seen)) as calls, torch.set_grad_enabled(train):
        for turn in twin.torch.turns if train else ():
            drawing.more_to_come = turn is not twin.torch.turns[-1]
            with drawing:
                loss, _ = turn.objective(run.model, touched(tensors))
            if loss.requires_grad:
                loss.backward()
        if not train and twin.torch.observe:
            twin.torch.observe(run.model, tensors)
    run.load(twin.start)  # the statistics have moved
    return calls


def functions_of(side: FlaxSide, train: bool) -> list[Callable]:
    """Returns what is run in that mode: the objective of every turn, or the evaluation."""
    if train:
        return [turn.objective for turn in side.turns]
    return [side.observe] if side.observe else []


def _flax_calls(side: FlaxSide, flax: FlaxModel, batch: Batch, train: bool) -> list[FlaxCall]:
    """Likewise, by a trace alone."""
    calls: list[FlaxCall] = []
    counts: dict[Path, int] = {}
    drawn = 0

    def count() -> str:
        nonlocal drawn
        drawn += 1
        return ""

    def around(path: Path, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
        found = FlaxCall(path, counts.get(path, 0), module, *map(_shapes, (args, kwargs)), span=(drawn, 0))
        counts[path] = found.number + 1
        calls.append(found)
        output = call(*args, **kwargs)
        found.output, found.span = _shapes(output), (found.span[0], drawn)
        return output

    def run(params: Any, buffers: Any, tensors: Any) -> None:
        for function in functions_of(side, train):
            flax.run(function, params, buffers, tensors, train=train, around=around)

    requested(run, flax.params, flax.buffers, batch.tensors, site=count)
    return calls


def _flax_values(twin: Twin, run: FlaxRun, train: bool) -> dict[tuple[Path, int], list[jax.Array]]:
    """What each submodule is given in the model's own run: an inherited error shows here."""

    def apply(params: Any, buffers: Any, tensors: dict) -> dict:
        found: dict[tuple[Path, int], list[jax.Array]] = {}
        counts: dict[Path, int] = {}

        def around(path: Path, module: Any, call: Callable, args: tuple, kwargs: dict) -> Any:
            number = counts[path] = counts.get(path, -1) + 1
            found[path, number] = [x for x in jax.tree.leaves((args, kwargs)) if hasattr(x, "shape")]
            return call(*args, **kwargs)

        named = {name: value for name, value in tensors.items() if name != DRAWS}
        with imposed_on_jax(tensors[DRAWS] if train else ()):
            for function in functions_of(twin.flax, train):
                run.flax.run(function, params, buffers, named, train=train, around=around)
        keys.extend(found)
        return dict(enumerate(found.values()))

    keys: list[tuple[Path, int]] = []
    with precision(run.device):
        values = jax.jit(apply)(*run.load(twin.start), run.tensors(twin.batches[0]))
    return {key: values[i] for i, key in enumerate(keys)}


def _received(layer: Layer, ports: "Ports", values: dict) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found = {}
    for array, (number, axes) in zip(values.get((layer.ours.path, layer.ours.number), []), ports.inputs, strict=False):
        pair = to_numpy(ports.tensors[number]), np.asarray(transposed(array, axes))
        found[f"{layer.label}.input" if len(ports.tensors) == 1 else f"{layer.label}.input.{number}"] = pair
    return found


def _shapes(tree: Any) -> Any:
    leaf = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype) if hasattr(x, "shape") and hasattr(x, "dtype") else x  # noqa: E731
    return jax.tree.map(leaf, tree)


@dataclass(frozen=True)
class Ports:
    """How the arguments and results of two calls belong together.

    inputs:  for each array among Flax's arguments, the number of PyTorch's tensor, and Flax's axes in its order
    outputs: (name in PyTorch, number among Flax's, Flax's axes in PyTorch's order)
    tensors: PyTorch's tensors, equal ones once
    """

    inputs: tuple[tuple[int, Axes], ...]
    outputs: tuple[tuple[str, int, Axes], ...]
    tensors: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, theirs: TorchCall, ours: FlaxCall) -> "Ports":
        """Raises Mismatch where an argument or every result has no partner."""
        tensors: list[torch.Tensor] = []
        for _, tensor in named_leaves((theirs.args, theirs.kwargs), ""):
            if not any(x.shape == tensor.shape and torch.equal(x, tensor) for x in tensors):
                tensors.append(tensor)
        shapes = [x.shape for x in jax.tree.leaves((ours.args, ours.kwargs)) if hasattr(x, "shape")]
        inputs = tuple(_matched(shapes, [tuple(x.shape) for x in tensors]))
        if {number for number, _ in inputs} != set(range(len(tensors))):
            raise Mismatch(f"arguments {[tuple(x.shape) for x in tensors]} in PyTorch, {shapes} in Flax")
        names = [(name, tuple(x.shape)) for name, x in named_leaves(theirs.output, "output")]
        results = [x.shape for _, x in named_leaves(ours.output, "output")]
        outputs, left = [], list(enumerate(results))
        for name, shape in names:
            number = next((i for i, r in left if sorted(r) == sorted(shape)), None)
            if number is not None:
                left = [(i, r) for i, r in left if i != number]
                outputs.append((name, number, between(results[number], shape)))
        if not outputs:
            raise Mismatch(f"results {[shape for _, shape in names]} in PyTorch, {results} in Flax")
        return cls(inputs, tuple(outputs), tuple(tensors))


def _matched(flax: list[tuple], torch: list[tuple]) -> Iterator[tuple[int, Axes]]:
    """In order, a tensor of the same sizes for each array; several arrays may be one tensor."""
    unused = list(range(len(torch)))
    for shape in flax:
        fits = [i for i in range(len(torch)) if sorted(torch[i]) == sorted(shape)]
        number = next((i for i in fits if i in unused), next(iter(fits), None))
        if number is None:
            raise Mismatch(f"arguments {torch} in PyTorch, {flax} in Flax")
        unused = [i for i in unused if i != number]
        yield number, between(shape, torch[number])


def _run_torch(twin: Twin, run: TorchRun, layer: Layer, ports: Ports, train: bool, disturb: Callable) -> Record:
    run.disturb = disturb
    call, prefix = layer.theirs, f"{layer.theirs.name}."
    run.load(twin.start, prefix)
    module = run.model.get_submodule(call.name).train(train)
    leaves = [_leaf(x, disturb) for x in ports.tensors]
    args, kwargs = tree_map(partial(_replaced, ports.tensors, leaves), (call.args, call.kwargs))
    draws = twin.torch_draws(twin.batches[0])[slice(*call.span)] if train else ()
    with ImposedOnTorch(draws), torch.set_grad_enabled(train), run.rounded_otherwise(module):
        output = dict(named_leaves(module(*args, **kwargs), "output"))
    record = {f"forward/{name}": to_numpy(output[name]) for name, *_ in ports.outputs}
    buffers = {prefix + name: to_numpy(b) for name, b in module.named_buffers(remove_duplicate=False)}
    record |= {f"buffers/{key.removeprefix(prefix)}": array for key, array in run.compared(buffers).items()}
    names = [name for name, *_ in ports.outputs if name in call.cotangents and output[name].requires_grad]
    if train and names:
        record |= _torch_gradients(run, module, leaves, output, names, layer)
    run.disturb = np.asarray
    return record


def _leaf(tensor: torch.Tensor, disturb: Callable) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    return torch.as_tensor(disturb(to_numpy(tensor)), device=tensor.device).requires_grad_()


def _replaced(tensors: tuple[torch.Tensor, ...], leaves: list[torch.Tensor], value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    same = (
        new for old, new in zip(tensors, leaves, strict=True) if old.shape == value.shape and torch.equal(old, value)
    )
    found = next(same)
    return found * 1 if found.requires_grad else found


def _torch_gradients(
    run: TorchRun, module: torch.nn.Module, leaves: list, output: dict, names: list[str], layer: Layer
) -> Record:
    inputs = [x for x in leaves if x.requires_grad]
    parameters = {
        f"{layer.theirs.name}.{name}": p
        for name, p in module.named_parameters(remove_duplicate=False)
        if p.requires_grad
    }
    wanted = [*inputs, *parameters.values()]
    cotangents = [layer.theirs.cotangents[name].to(output[name].dtype) for name in names]
    grads = torch.autograd.grad([output[name] for name in names], wanted, cotangents, allow_unused=True)
    arrays = [to_numpy(torch.zeros_like(x) if g is None else g) for x, g in zip(wanted, grads, strict=True)]
    record = {f"backward/{name}": a for name, a in zip(input_names(len(inputs)), arrays, strict=False)}
    merged = run.compared(dict(zip(parameters, arrays[len(inputs) :], strict=True)), mean=True)
    prefix = f"{layer.theirs.name}."
    return record | {f"backward/{key.removeprefix(prefix)}": array for key, array in merged.items()}


def _run_flax(twin: Twin, layer: Layer, ports: Ports, part: Part, train: bool, quick: bool) -> Record:
    call = layer.ours
    flat, tree = jax.tree.flatten((call.args, call.kwargs))
    places = [i for i, x in enumerate(flat) if hasattr(x, "shape")]
    static = tuple((i, x) for i, x in enumerate(flat) if i not in places)  # flags, axes, None
    cotangents = {name: layer.theirs.cotangents[name] for name, *_ in ports.outputs if name in layer.theirs.cotangents}
    draws = twin.batches[0].draws[slice(*call.span)] if train else ()
    given = [jnp.asarray(to_numpy(x)) for x in ports.tensors]
    program = Program(
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
        program, part.params, part.buffers, given, pulled, tuple(map(jnp.asarray, draws))
    )
    record = {f"forward/{name}": np.asarray(array) for name, array in outputs.items()}
    own, prefix = _own_leaves(twin, layer), f"{layer.theirs.name}."
    kept = export([x for x in own if not x.trained], buffers)
    record |= {f"buffers/{key.removeprefix(prefix)}": array for key, array in kept.items()}
    if train and cotangents:
        floating = [np.asarray(g) for g, x in zip(input_grads, ports.tensors, strict=True) if x.is_floating_point()]
        record |= {f"backward/{n}": g for n, g in zip(input_names(len(floating)), floating, strict=True)}
        found = export([x for x in own if x.trained], grads)
        record |= {f"backward/{key.removeprefix(prefix)}": array for key, array in found.items()}
    return record


@dataclass(frozen=True)
class Program:
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
    return jax.jit(
        _isolated, static_argnums=0, compiler_options={"xla_backend_optimization_level": 1} if quick else None
    )


def _isolated(program: Program, params: Any, buffers: Any, tensors: list, cotangents: dict, draws: tuple) -> Any:
    floating = [i for i, x in enumerate(tensors) if jnp.issubdtype(x.dtype, jnp.floating)]

    def forward(params: Any, values: list) -> tuple[dict, tuple]:
        given = list(tensors)
        for i, value in zip(floating, values, strict=True):
            given[i] = value
        with imposed_on_jax(draws):
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
    depth, path, prefix = len(layer.ours.path), layer.ours.path, f"{layer.theirs.name}."
    own = []
    for leaf in (x for x in twin.leaves if x.key.startswith(prefix)):
        if leaf.path[:depth] == path:
            own.append(replace(leaf, path=leaf.path[depth:]))
        elif not leaf.trained and leaf.path[1 : depth + 1] == path:
            own.append(replace(leaf, path=(leaf.path[0], *leaf.path[depth + 1 :])))
    return own
