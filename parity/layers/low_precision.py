"""Layers on their own in low precision: is each as close to PyTorch's float64 as PyTorch's own is?

A deep model multiplies its rounding until PyTorch's own hides all but gross errors; that of one layer hides little.
Of a user's pair, Flax's layers and their gradients are compiled as `jax.jit` does by itself: it can be wrong, too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import jax

from parity.arrays.key import Key, Record
from parity.compare.policy import BY_COMPILER, Policy
from parity.compare.precision import compare_precision
from parity.compare.probes import errors_of, largest_of, low_probes
from parity.compare.rows import Row
from parity.environment import Device
from parity.layers.flax_layer import Alone, Compiled, flax_records, run_flax_layers
from parity.layers.isolated import Isolated
from parity.layers.torch_layer import run_torch_layer
from parity.sides.disturb_layers import Disturb
from parity.sides.disturb_operations import by_an_ulp
from parity.sides.flax import FlaxRun, precision
from parity.sides.quick import quickly
from parity.sides.torch import TorchRun
from parity.twin.pairing import longest_sum
from parity.twin.twin import Twin


def low_rows(
    twin: Twin, isolated: Isolated, torch_run: TorchRun, flax_run: FlaxRun, policy: Policy, compiled: Compiled = quickly
) -> list[Row]:
    """Returns the rows of all layers in the precision of the runs, whose gaps are to the float64 of `isolated`."""
    rows: list[Row] = []
    with precision(flax_run.device, flax_run.tf32, flax_run.dtype):
        start = flax_run.load(twin.start)
        alone = [
            Alone(
                layer,
                layer.ports,  # numbers of float64 tell channels first from last where shapes do not
                flax_run.flax.part(layer.ours.module, layer.ours.path, *start, train=True),
            )
            for layer in isolated.layers
        ]
        alone, records = flax_records(twin, alone, True, flax_run.device, isolated.skipped, compiled)
        for each, flax in zip(alone, records, strict=True):
            some = _judged(twin, each, flax, torch_run, policy)
            rows += some if all(row.passed for row in some) else _uncompiled(twin, each, some, torch_run, policy)
    return rows


def by_itself(function: Callable, device: Device) -> Callable:
    """Returns the function as `jax.jit` compiles it without options, which is what users' own programs are."""
    return jax.jit(function)


def _uncompiled(twin: Twin, alone: Alone, rows: list[Row], run: TorchRun, policy: Policy) -> list[Row]:
    """Returns the rows; those that are right operation by operation say that the compiler is wrong."""
    with jax.disable_jit():
        (flax,) = run_flax_layers(twin, [alone], True, jax.devices("cpu")[0], lambda function, device: function)
    right = {row.key for row in _judged(twin, alone, flax, run, policy) if row.passed}
    return [
        replace(row, because=f"{BY_COMPILER}{row.because}") if not row.passed and row.key in right else row
        for row in rows
    ]


def _judged(twin: Twin, alone: Alone, flax: Record, run: TorchRun, policy: Policy) -> list[Row]:
    """Returns the rows of one layer; PyTorch's own error is measured as often as the verdict needs it."""
    oracle = alone.layer.oracle
    reference: dict[Key, float] = {}
    rows: list[Row] = []
    for seeds, ulps, operations in low_probes(policy, 1):
        disturbs = [by_an_ulp(seed, ulps, operations) for seed in seeds]
        errors = errors_of(oracle, _torch_records(twin, alone, run, disturbs))
        reference = largest_of(reference, {key: error / ulps for key, error in errors.items()})
        rows = compare_precision(oracle, reference, flax, longest_sum(twin), run.dtype, policy)
        if all(row.passed for row in rows):
            break
    return rows


def _torch_records(twin: Twin, alone: Alone, run: TorchRun, disturbs: Sequence[Disturb]) -> Iterator[Record]:
    for disturb in disturbs:
        yield run_torch_layer(twin, run, alone.layer, alone.ports, True, disturb)


def told_by_layers(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows; a blunt one of a tensor that its layer on its own tells sharply is blunt no more."""
    sharp: dict[str, bool] = {}
    for row in (row for row in rows if row.key.layer):
        name = f"{row.key.layer.partition(' ')[0]}.{row.key.tensor}"
        sharp[name] = sharp.get(name, True) and row.passed and not row.blunt
    return [
        replace(row, blunt=False, because=f"{row.because}; its layer on its own tells more")
        if row.blunt and not row.key.layer and sharp.get(row.key.tensor)
        else row
        for row in rows
    ]
