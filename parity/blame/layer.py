"""Which layers are wrong by themselves, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map

from parity.arrays.key import Arrays, Key
from parity.arrays.layout import named_leaves
from parity.blame.apart import Sight, parted
from parity.blame.constants import constant_trials, flax_arrays
from parity.blame.diagnosis import Cause, explain_layer
from parity.blame.diagnosis.altered.others import DROPOUTS
from parity.blame.diagnosis.calls import Call
from parity.blame.diagnosis.calls import run as run_call
from parity.blame.diagnosis.cause import NOISE, choose
from parity.blame.diagnosis.fast_variance import fast_variance
from parity.blame.diagnosis.functions.tables import Replacing, tables_of
from parity.blame.norm_place import explain_norm_place
from parity.blame.wiring import explain_wiring
from parity.layers.isolated import Isolated
from parity.layers.layer import Layer
from parity.result import Blame
from parity.sides.torch import TorchRun
from parity.twin.twin import State, Twin

MOST_EXPLAINED = 12
PRECISIONS = ("float32", "float16", "bfloat16", "tf32")
# training or not, what of isolation is looked at, how it is called
ORDER = (
    (True, "forward", "forward"),
    (False, "forward", "evaluation"),
    (True, "backward", "backward"),
    (True, "buffers", "buffers"),
    (False, "buffers", "buffers"),
)


def blame_layers(twin: Twin, layers: Mapping[bool, Isolated], state: State) -> Iterator[Blame]:
    """Yields every layer that is wrong by itself, in the order in which it was looked for; each once."""
    guilty: list[str] = []
    for train, phase, direction in ORDER:
        right = right_modules(layers[train])
        for layer in _guilty(layers[train], phase):
            name = layer.theirs.name
            if any(other == name or other.startswith(f"{name}.") for other in guilty):
                continue
            guilty.append(name)
            yield _of_layer(twin, layer, direction, layers[train], state, right, train, len(guilty) <= MOST_EXPLAINED)


def right_modules(isolated: Isolated) -> list[str]:
    """Lists PyTorch's submodules that compute the same in Flax, in every one of their calls."""
    failing = {row.key.layer for row in isolated.rows if not row.passed}
    wrong = {layer.theirs.name for layer in isolated.layers if layer.label in failing}
    return [name for name in dict.fromkeys(layer.theirs.name for layer in isolated.layers) if name not in wrong]


def _guilty(isolated: Isolated, phase: str) -> Sequence[Layer]:
    """The layers that are wrong by themselves while all that they call is right; backward, the last one first."""
    failing = {row.key.layer for row in isolated.rows if not row.passed and row.key.phase == phase}
    wrong = [layer for layer in isolated.layers if layer.label in failing]
    inner = [layer for layer in wrong if not any(_inside(other, layer) for other in wrong)]
    return inner if phase != "backward" else inner[::-1]


def _inside(inner: Layer, outer: Layer) -> bool:
    call = inner.theirs.parent
    while call is not None:
        if call is outer.theirs:
            return True
        call = call.parent
    return False


def _of_layer(
    twin: Twin,
    layer: Layer,
    direction: str,
    isolated: Isolated,
    state: State,
    right: Sequence[str],
    train: bool,
    explained: bool,
) -> Blame:
    call = layer.theirs
    cause = _cause(twin, layer, direction, train, state, right, _noise(layer, isolated)) if explained else None
    if cause is None and direction == "forward":
        cause = explain_norm_place(isolated, call.name) or explain_wiring(isolated, call.name)
    kind = type(call.module).__name__
    name = f"{call.name}.{cause.part}" if cause and cause.part else call.name
    found = Blame.because(cause, name, direction, f"{layer.label} ({kind}), {direction}")
    told = explained and direction in ("forward", "evaluation")
    flax = {key.tensor: array for key, array in layer.flax.items() if key.phase == "forward"}
    return parted(found, twin, state, train, Sight(flax, (call.name, call.number))) if told and flax else found


def _noise(layer: Layer, isolated: Isolated) -> float:
    """Returns what rounding leaves of the layer: less than usual where a gap is, that is proven to be none."""
    wrong = [row for row in isolated.rows if row.key.layer == layer.label and not row.passed]
    small = [row.threshold for row in wrong if 0 < row.threshold < row.gap <= 100 * NOISE]
    return min(small) / 100 if small and len(small) == len(wrong) else NOISE


def _cause(
    twin: Twin, layer: Layer, direction: str, train: bool, state: State, right: Sequence[str], noise: float
) -> Cause | None:
    run = TorchRun(twin, "float64", "cpu")
    run.load(state)
    call = layer.theirs
    module = run.model.train(train).get_submodule(call.name).cpu()
    parts: dict[str, Arrays] = {"forward": {}, "backward": {}, "buffers": {}}
    repeated = _repeated((call.args, call.kwargs))  # isolation has the sum of their gradients, an argument a part of it
    for key, array in layer.flax.items():
        if not (repeated and key.is_input):
            parts[key.phase][key.tensor] = array
    outputs = list(parts["forward"].values())
    args, kwargs = tree_map(_on_cpu, (call.args, call.kwargs))
    drawn = twin.torch_numbers(twin.batches[0])[slice(*call.span)] if train else ()
    results = [pair for pair in named_leaves(call.output, "output") if isinstance(pair[1], torch.Tensor)]
    if list(parts["forward"]) != [name for name, _ in results[: len(outputs)]]:
        outputs = outputs[:1]
    pulled = [call.cotangents.get(name, torch.zeros_like(x)) for name, x in results[: len(outputs)]]
    inside = f"{call.name}."
    explain = partial(
        explain_layer,
        module,
        args,
        kwargs,
        outputs or None,
        training=train,
        numbers=() if isinstance(module, DROPOUTS) else drawn,  # of which Flax's zeros tell the mask
        right=[name.removeprefix(inside) for name in right if name.startswith(inside)],
        noise=noise,
    )
    back = {"cotangent": tree_map(_on_cpu, pulled), "flax_grads": parts["backward"]}
    back = back if call.cotangents and pulled and parts["backward"] else {}
    cause = explain(flax_buffers=parts["buffers"] or None, **back)
    if (not cause or cause.name in PRECISIONS) and outputs and len(args) == 1 and "output" in parts["forward"]:
        oracle = layer.oracle.get(Key(1, "forward", "output", layer=layer.label))
        if oracle is not None:
            cause = fast_variance(module.double(), args[0].double(), train, oracle, outputs[0]) or cause
    if not cause and outputs and direction in ("forward", "evaluation"):
        cause = _constant(Call(module, args, kwargs, train, len(outputs), outputs[0]), outputs, twin, state)
    if not cause and direction in ("forward", "evaluation"):  # gradients that are not finite hide the reason
        cause = explain()
    return cause


def _constant(call: Call, flax: list[np.ndarray], twin: Twin, state: State) -> Cause | None:
    """The table of the module, such as a mask, of which Flax has other numbers."""

    def computed(mode: Replacing) -> list[np.ndarray]:
        return run_call(replace(call, within=lambda module: Replacing(module, mode.tables).running()))

    arrays = flax_arrays(twin, state, call.training) if tables_of(call.module) else []
    return choose(run_call(call), flax, constant_trials(call.module, computed, arrays)) if arrays else None


def _repeated(arguments: Any) -> bool:
    """Is one tensor given several times, as in the attention of a sequence to itself?"""
    tensors = [x for x in tree_leaves(arguments) if isinstance(x, torch.Tensor)]
    return any(a.shape == b.shape and torch.equal(a, b) for i, a in enumerate(tensors) for b in tensors[:i])


def _on_cpu(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value
