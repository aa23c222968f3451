"""Each submodule on its own: the same inputs and cotangents, PyTorch's, on both sides.

So a layer's own error is told from the one that it inherits, in both directions.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from parity.arrays.key import Record
from parity.compare.constants import HELD_CEILING, excused, shifted_records
from parity.compare.policy import Policy
from parity.compare.probes import largest_of, noise_of
from parity.compare.rows import Row
from parity.compare.semantics import compare_semantics, near
from parity.environment import Device
from parity.layers.calls import given_values, label, layer_calls, traced_calls
from parity.layers.flax_layer import Alone, Compiled, run_flax_layers
from parity.layers.layer import Layer
from parity.layers.nesting import dropped, with_nested
from parity.layers.ports import Mismatch, Ports, has_equal_sizes, has_states_apart
from parity.layers.received import Received, received
from parity.layers.torch_layer import run_torch_layer
from parity.models.calls import TorchCall
from parity.sides.constants import one_digit, shifting
from parity.sides.disturb import one_ulp
from parity.sides.disturb_operations import EveryOperation
from parity.sides.flax import FlaxRun, precision
from parity.sides.quick import quickly
from parity.sides.torch import TorchRun
from parity.twin.pairing import longest_sum
from parity.twin.twin import Twin

PROBES = 2


class Unfit(NamedTuple):
    """A call of PyTorch's whose results have other shapes than Flax's, which are `results`."""

    label: str
    call: TorchCall
    why: str
    results: tuple[tuple[int, ...], ...]


@dataclass
class Isolated:
    """The findings of isolation.

    skipped:  {label: why the two calls cannot be compared}
    unfit:    those of them whose results differ in shape
    received: in the order of the calls; with `containers` alone
    """

    rows: list[Row] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    unfit: list[Unfit] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)


def isolate(
    twin: Twin, torch_device: str, jax_device: Device, policy: Policy, *, containers: bool, train: bool = True
) -> Isolated:
    """Every layer that both models have, and with `containers` every module around some, in float64."""
    run = TorchRun(twin, "float64", torch_device)
    run.load(twin.start)
    flax_run = FlaxRun(twin, "float64", jax_device)
    theirs = layer_calls(twin, run, twin.batches[0], train)
    ours = {(call.path, call.number): call for call in traced_calls(twin.flax, flax_run.flax, twin.batches[0], train)}
    found = Isolated()
    alone: list[Alone] = []
    oracle: Record = {}
    flax: Record = {}
    noisy: list[Record] = [{} for _ in range(PROBES)]
    names = with_nested(twin, {path for path, _ in ours}) if containers else twin.names
    shared = [call for call in theirs if call.name in names and (names[call.name], call.number) in ours]
    partners = [(call, ours[names[call.name], call.number]) for call in shared]
    unclear = any(map(has_equal_sizes, ours.values())) or any(has_states_apart(*pair) for pair in partners)
    values = given_values(twin, flax_run, train) if containers or unclear else {}
    with precision(jax_device):
        params, buffers = flax_run.load(twin.start)
        for call, partner in partners:
            if not call.name or not containers and any(child in shared for child in calls_within(call)):
                continue
            layer = Layer(label(call), call, partner)
            try:
                ports = layer.ports = Ports.of(call, partner, values.get((partner.path, partner.number)))
                found.received += received(layer, ports, values)
                part = flax_run.flax.part(partner.module, partner.path, params, buffers, train=train)
                layer.oracle = run_torch_layer(twin, run, layer, ports, train, np.asarray)
                probes = [run_torch_layer(twin, run, layer, ports, train, one_ulp(seed)) for seed in range(PROBES)]
            except Exception as problem:
                _leave_out(found, layer, problem)
                continue
            alone.append(Alone(layer, ports, part))
            oracle |= layer.oracle
            for noise, probe in zip(noisy, probes, strict=True):
                noise |= probe
        alone, records = flax_records(twin, alone, train, jax_device, found.skipped)
    found.layers = [layer for layer, *_ in alone]
    if found.skipped:
        labels = {layer.label for layer in found.layers}
        oracle, *noisy = ({k: a for k, a in part.items() if k.layer in labels} for part in (oracle, *noisy))
    for layer, layer.flax in zip(found.layers, records, strict=True):
        flax |= layer.flax
    if not oracle:
        return found
    noise = noise_of(oracle, noisy)
    found.rows = compare_semantics(oracle, flax, noise, longest_sum(twin), policy)
    if near(found.rows, policy):
        noise = largest_of(noise, noise_of(oracle, _every_operation(twin, alone, run, train)))
        found.rows = compare_semantics(oracle, flax, noise, longest_sum(twin), policy)
    if not all(row.passed for row in found.rows) and (run.constants or flax_run.constants):
        moved = _shifted(twin, alone, run, flax_run, oracle, flax, train)
        noise = largest_of(noise, noise_of(oracle, moved))
        loose = replace(policy, ceiling=HELD_CEILING)
        found.rows = excused(found.rows, compare_semantics(oracle, flax, noise, longest_sum(twin), loose))
    return _without_others(found, twin) if containers else found


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


def _leave_out(found: Isolated, layer: Layer, problem: Exception) -> None:
    """Notes why a layer is not compared: its calls differ, or it needs what its parent does around it."""
    if not isinstance(problem, Mismatch):
        found.skipped[layer.label] = f"it does not run on its own: {_line(problem)}"
        return
    found.skipped[layer.label] = str(problem)
    if problem.results:
        found.unfit.append(Unfit(layer.label, layer.theirs, str(problem), problem.results))


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
            skipped[each.layer.label] = f"it does not run on its own in Flax: {_line(error)}"
    return [each for each, _ in pairs], [record for _, record in pairs]


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _every_operation(twin: Twin, alone: list[Alone], run: TorchRun, train: bool) -> Iterator[Record]:
    """Yields PyTorch's layers once more, every operation of theirs rounded otherwise."""
    for seed in range(PROBES):
        disturb = EveryOperation(seed)
        yield _joined(run_torch_layer(twin, run, layer, ports, train, disturb) for layer, ports, _ in alone)


def _shifted(
    twin: Twin, alone: list[Alone], run: TorchRun, flax_run: FlaxRun, oracle: Record, flax: Record, train: bool
) -> Iterator[Record]:
    """Yields all layers once more, the constants of one side moved by a digit of float32."""

    def theirs(seed: int) -> Record:
        with shifting(run, one_digit(seed)):
            return _joined(run_torch_layer(twin, run, layer, ports, train, np.asarray) for layer, ports, _ in alone)

    def ours(seed: int) -> Record:
        with precision(flax_run.device), shifting(flax_run, one_digit(seed)):
            start = flax_run.load(twin.start)
            calls = [layer.ours for layer, *_ in alone]
            parts = [flax_run.flax.part(call.module, call.path, *start, train=train) for call in calls]
            moved = [each._replace(part=part) for each, part in zip(alone, parts, strict=True)]
            return _joined(run_flax_layers(twin, moved, train, flax_run.device))

    sides = theirs if run.constants else None, ours if flax_run.constants else None
    return shifted_records(oracle, flax, range(PROBES), *sides)


def _joined(records: Iterable[Record]) -> Record:
    return {key: array for record in records for key, array in record.items()}


def calls_within(call: TorchCall) -> Iterator[TorchCall]:
    for child in call.children:
        yield child
        yield from calls_within(child)
