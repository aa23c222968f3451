"""Each submodule on its own: the same inputs and cotangents, PyTorch's, on both sides.

So a layer's own error is told from the one that it inherits, in both directions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np

from parity.arrays.key import Record
from parity.compare.constants import HELD_CEILING, excused, shifted_records
from parity.compare.fitted import Held
from parity.compare.policy import Policy
from parity.compare.probes import largest_of, noise_of
from parity.compare.rows import Row, passed
from parity.compare.semantics import compare_semantics, near
from parity.environment import Device
from parity.layers.calls import Values, given_values, label, layer_calls, traced_calls
from parity.layers.flax_layer import Alone, flax_records, run_flax_layers
from parity.layers.indices import OTHER_INDICES, looking_up, of_other_indices
from parity.layers.isolated import Isolated
from parity.layers.layer import Layer
from parity.layers.left_out import leave_out
from parity.layers.nesting import dropped, with_nested
from parity.layers.partners import calls_of_both
from parity.layers.polarity import of_other_polarity
from parity.layers.ports import Ports, has_equal_sizes, has_joined_axes, has_states_apart
from parity.layers.received import received
from parity.layers.torch_layer import run_torch_layer
from parity.models.calls import TorchCall
from parity.sides.constants import Shift, moves, shifting
from parity.sides.disturb import one_ulp
from parity.sides.disturb_layers import Disturb
from parity.sides.disturb_operations import EveryOperation
from parity.sides.flax import FlaxRun, precision
from parity.sides.torch import TorchRun
from parity.twin.pairing import longest_sum
from parity.twin.twin import Twin

PROBES = 2


@dataclass(frozen=True)
class Runs:
    """Both sides of a twin in float64, which start from its weights."""

    twin: Twin
    torch: TorchRun
    flax: FlaxRun
    train: bool

    @staticmethod
    def of(twin: Twin, torch_device: str, jax_device: Device, train: bool) -> "Runs":
        run = TorchRun(twin, "float64", torch_device)
        run.load(twin.start)
        return Runs(twin, run, FlaxRun(twin, "float64", jax_device), train)

    def torch_layer(self, layer: Layer, ports: Ports, disturb: Disturb = np.asarray) -> Record:
        """Returns the record of PyTorch's layer, its inputs and weights moved by `disturb`."""
        return run_torch_layer(self.twin, self.torch, layer, ports, self.train, disturb)

    def torch_layers(self, alone: Sequence[Alone], disturb: Disturb = np.asarray) -> Record:
        """Returns the records of all of them together."""
        return _joined(self.torch_layer(layer, ports, disturb) for layer, ports, _ in alone)


def isolate(
    twin: Twin,
    torch_device: str,
    jax_device: Device,
    policy: Policy,
    *,
    containers: bool,
    train: bool = True,
    known: Sequence[Layer] = (),
    masked: Mapping[str, int] = MappingProxyType({}),
) -> Isolated:
    """Compares every layer that both models have, and with `containers` every module around some, in float64.

    known:  layers that have been run in this mode: Flax's are not compiled again
    masked: see `masked_outside`
    """
    runs = Runs.of(twin, torch_device, jax_device, train)
    found = Isolated()
    layers, values = _shared_layers(runs, containers)
    for layer in layers:
        layer.padding = masked
    with precision(jax_device):
        alone, noisy = _torch_alone(runs, layers, values, found)
        records = {layer.label: layer.flax for layer in known}
        fresh = [each for each in alone if each.layer.label not in records]
        fresh, more = flax_records(twin, fresh, train, jax_device, found.skipped)
        records |= {each.layer.label: record for each, record in zip(fresh, more, strict=True)}
    alone = [each for each in alone if each.layer.label in records]
    found.layers = [layer for layer, *_ in alone]
    for layer in found.layers:
        layer.flax = records[layer.label]
    if found.layers:
        found.rows = _rows(runs, alone, noisy, policy)
        if containers:
            _read_turned(runs, alone, noisy, policy, values, found)
    if asked := looking_up(found.layers, found.rows):
        others = of_other_indices(asked, values or given_values(twin, runs.flax, train))
        found = found.without(others, OTHER_INDICES)
    return _without_others(found, twin) if containers else found


def _shared_layers(runs: Runs, containers: bool) -> tuple[list[Layer], dict[tuple, Values]]:
    """Returns the calls that both models make, with Flax's arrays where shapes do not tell which are which.

    containers: modules around others, too
    """
    twin = runs.twin
    theirs = layer_calls(twin, runs.torch, twin.batches[0], runs.train)
    calls = traced_calls(twin.flax, runs.flax, twin.batches[0], runs.train)
    names = with_nested(twin, {call.path for call in calls}) if containers else twin.names
    pairs = calls_of_both(twin, theirs, calls, names, runs.train)
    shared = [call for call, _ in pairs]
    layers = [
        Layer(label(call), call, ours)
        for call, ours in pairs
        if call.name and (containers or not any(child in shared for child in calls_within(call)))
    ]
    unclear = bool(twin.laid) or any(map(has_equal_sizes, calls))
    unclear = unclear or any(has_states_apart(x.theirs, x.ours) or has_joined_axes(x.theirs, x.ours) for x in layers)
    return layers, given_values(twin, runs.flax, runs.train) if containers or unclear else {}


def _torch_alone(
    runs: Runs, layers: list[Layer], values: dict[tuple, Values], found: Isolated
) -> tuple[list[Alone], dict[str, list[Record]]]:
    """Runs PyTorch's layers one by one; returns them beside Flax's, and by label what `PROBES` runs more gave."""
    start = runs.flax.load(runs.twin.start)
    alone: list[Alone] = []
    noisy: dict[str, list[Record]] = {}
    for layer in layers:
        partner = layer.ours
        try:
            ports = layer.ports = Ports.of(layer.theirs, partner, values.get((partner.path, partner.number)))
            found.received += received(layer, ports, values)
            part = runs.flax.flax.part(partner.module, partner.path, *start, train=runs.train)
            layer.oracle = runs.torch_layer(layer, ports)
            noisy[layer.label] = [runs.torch_layer(layer, ports, one_ulp(seed)) for seed in range(PROBES)]
        except Exception as problem:
            leave_out(found, layer, problem, values.get((partner.path, partner.number)))
            continue
        alone.append(Alone(layer, ports, part))
    return alone, noisy


def _rows(runs: Runs, alone: list[Alone], noisy: dict[str, list[Record]], policy: Policy) -> list[Row]:
    """Compares the layers; more noise is measured where a gap is small, or constants are held in float32."""
    oracle = _joined(layer.oracle for layer, *_ in alone)
    flax = _joined(layer.flax for layer, *_ in alone)
    probes = [_joined(noisy[layer.label][seed] for layer, *_ in alone) for seed in range(PROBES)]
    noise = noise_of(oracle, probes)
    rows = compare_semantics(oracle, flax, noise, longest_sum(runs.twin), policy)
    if near(rows, policy):
        every = (runs.torch_layers(alone, EveryOperation(seed)) for seed in range(PROBES))
        noise = largest_of(noise, noise_of(oracle, every))
        rows = compare_semantics(oracle, flax, noise, longest_sum(runs.twin), policy)
    if not all(row.passed for row in rows) and (runs.torch.constants or runs.flax.constants):
        noise = largest_of(noise, noise_of(oracle, _shifted(runs, alone, oracle, flax)))
        loose = replace(policy, ceiling=HELD_CEILING)
        rows = excused(rows, compare_semantics(oracle, flax, noise, longest_sum(runs.twin), loose))
    return rows


def _read_turned(
    runs: Runs,
    alone: list[Alone],
    noisy: dict[str, list[Record]],
    policy: Policy,
    values: dict[tuple, Values],
    found: Isolated,
) -> None:
    """Compares layers that differ once more, with masks as Flax's model gives them; one that then agrees is right."""
    wrong = {row.key.layer for row in found.rows if not row.passed}
    turned = of_other_polarity([each for each in alone if each.layer.label in wrong], values)
    with precision(runs.flax.device):
        turned, records = flax_records(runs.twin, turned, runs.train, runs.flax.device, {})
    for each, record in zip(turned, records, strict=True):
        rows = _rows(runs, [each._replace(layer=replace(each.layer, flax=record))], noisy, policy)
        if not passed(rows):
            continue
        each.layer.flax, each.layer.ports = record, each.ports
        label = each.layer.label
        found.rows = [*(row for row in found.rows if row.key.layer != label), *rows]
        given = iter(received(each.layer, each.ports, values))
        found.received = [next(given) if tensor.label == label else tensor for tensor in found.received]


def _without_others(found: Isolated, twin: Twin) -> Isolated:
    """Returns the findings without modules that only hold the same tensors as Flax's."""
    failing = {row.key.layer for row in found.rows if not row.passed}
    others = dropped(found.layers, failing, twin.names)
    return replace(
        found,
        rows=[row for row in found.rows if row.key.layer not in others],
        layers=[layer for layer in found.layers if layer.label not in others],
        unfit=[unfit for unfit in found.unfit if unfit.call.name in twin.names],
        received=[tensor for tensor in found.received if tensor.label not in others],
    )


def _shifted(runs: Runs, alone: list[Alone], oracle: Record, flax: Record) -> Iterator[Record]:
    """Yields all layers once more, the constants of one side moved by a digit of float32."""
    twin = runs.twin

    def theirs(shift: Shift) -> Record:
        with shifting(runs.torch, shift):
            return runs.torch_layers(alone)

    def ours(shift: Shift) -> Record:
        with precision(runs.flax.device), shifting(runs.flax, shift):
            start = runs.flax.load(twin.start)
            calls = [layer.ours for layer, *_ in alone]
            parts = [runs.flax.flax.part(call.module, call.path, *start, train=runs.train) for call in calls]
            moved = [each._replace(part=part) for each, part in zip(alone, parts, strict=True)]
            return _joined(run_flax_layers(twin, moved, runs.train, runs.flax.device))

    held = Held(theirs if runs.torch.constants else None, ours if runs.flax.constants else None)
    return shifted_records(oracle, flax, partial(moves, PROBES), held)


def _joined(records: Iterable[Record]) -> Record:
    return {key: array for record in records for key, array in record.items()}


def calls_within(call: TorchCall) -> Iterator[TorchCall]:
    for child in call.children:
        yield child
        yield from calls_within(child)
