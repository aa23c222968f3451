"""Which layer is less precise than PyTorch's, where both compute the same in float64."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import torch
from torch.utils._pytree import tree_map

from parity.arrays.key import Record
from parity.arrays.layout import named_leaves
from parity.arrays.torch_arrays import to_numpy
from parity.blame.diagnosis.fast_variance import fast_variance
from parity.blame.diagnosis.precision import leak
from parity.compare.policy import BY_COMPILER, POLICY, UNIT
from parity.compare.rows import Row
from parity.compare.scale import rms, rms_gap
from parity.layers.calls import label, layer_calls, traced_calls
from parity.layers.flax_layer import Alone, run_flax_layers
from parity.layers.isolate import calls_within
from parity.layers.layer import Layer
from parity.layers.ports import Mismatch, Ports
from parity.models.packed import first_packed, packed_again, padded
from parity.result import Blame
from parity.sides.flax import FlaxRun, precision
from parity.sides.torch import TorchRun
from parity.twin.pairing import longest_sum
from parity.twin.twin import Twin


def blame_precision(twin: Twin, dtype: str = "float32", rows: Sequence[Row] = ()) -> Blame | None:
    """The first layer that, from PyTorch's float64 inputs, errs more in evaluation than the policy lets it.

    Returns None where every layer by itself is as precise as PyTorch's.

    rows: of that precision; where evaluation is right, a layer whose training is not is blamed by its own
    """
    return _of_evaluation(twin, dtype) or _of_training(twin, dtype, rows)


def _of_training(twin: Twin, dtype: str, rows: Sequence[Row]) -> Blame | None:
    """Returns the blame of the first layer that has a failing row of its own."""
    bad = next((row for row in rows if row.key.layer and not row.passed), None)
    if bad is None:
        return None
    name = bad.key.layer.partition(" ")[0]
    kind = type(twin.torch.model.get_submodule(name)).__name__
    text = f"{bad.key.layer} ({kind}), {dtype}, training: {bad.key.tensor} errs by {bad.gap:.0e}, {bad.because}"
    cause = "compiler" if bad.because.startswith(BY_COMPILER) else ""
    return Blame(name, "forward" if bad.key.phase == "forward" else "backward", cause, text)


def _of_evaluation(twin: Twin, dtype: str) -> Blame | None:
    exact = TorchRun(twin, "float64", "cpu")
    low = TorchRun(twin, dtype, "cpu")
    for run in (exact, low):
        run.load(twin.start)
    batch = twin.batches[0]
    device = jax.devices("cpu")[0]
    theirs = layer_calls(twin, exact, batch, False)
    flax_run = FlaxRun(twin, dtype, device)
    ours = {(call.path, call.number): call for call in traced_calls(twin.flax, flax_run, batch, False)}
    shared = [call for call in theirs if (twin.names.get(call.name), call.number) in ours and call.name]
    with precision(device, dtype=dtype):
        params, buffers = flax_run.load(twin.start)
        for call in (call for call in shared if not any(child in shared for child in calls_within(call))):
            layer = Layer(label(call), call, ours[twin.names[call.name], call.number])
            try:
                ports = Ports.of(call, layer.ours)
            except Mismatch:
                continue
            part = flax_run.flax.part(layer.ours.module, layer.ours.path, params, buffers, train=False)
            given = replace(ports, tensors=tuple(_cast(x, dtype) for x in ports.tensors))
            (found,) = run_flax_layers(twin, [Alone(layer, given, part)], False, device)
            if blame := _judged(twin, layer, found, low, dtype):
                return blame
    return None


def _judged(twin: Twin, layer: Layer, flax: Record, low: TorchRun, dtype: str) -> Blame | None:
    call = layer.theirs
    args, kwargs = tree_map(lambda x: _cast(x, dtype), (call.args, call.kwargs))
    with torch.no_grad():
        module = low.model.get_submodule(call.name).eval()
        output = module(*packed_again(args), **packed_again(kwargs))
        own = dict(named_leaves(padded(output, first_packed((args, kwargs))), "output"))
    floor = POLICY.sums * float(np.sqrt(longest_sum(twin))) * UNIT[dtype]
    answers = {key.tensor: array for key, array in flax.items() if key.phase == "forward"}
    for name, tensor in named_leaves(call.output, "output"):
        oracle = to_numpy(tensor)
        found = answers.get(name)
        if found is None or not tensor.is_floating_point() or found.shape != oracle.shape:
            continue
        scale = rms(oracle) or 1.0
        error, theirs = (rms_gap(x, oracle) / scale for x in (found, to_numpy(own[name])))
        if error > POLICY.ratio * theirs + floor:
            cause = fast_variance(module, args[0], False, oracle, found.astype(np.float64)) if args else None
            cause = cause or leak(oracle, found.astype(np.float64), float(np.max(np.abs(found - oracle))) / scale)
            text = f"{layer.label} ({type(call.module).__name__}), {dtype}: error {error:.0e}, PyTorch's {theirs:.0e}"
            return Blame.because(cause, call.name, "forward", text)
    return None


def _cast(value: Any, dtype: str) -> Any:
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.to(getattr(torch, dtype))
    return value
