"""From failing rows to the first guilty place, and to its cause."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map

from parity.arrays.key import Arrays, Key, Record
from parity.blame.body import explain_body
from parity.blame.diagnosis import Cause, explain_layer, explain_tensor
from parity.blame.diagnosis.altered import ALTERATIONS
from parity.blame.loss import of_loss
from parity.blame.optimizer import of_optimizer
from parity.compare.rows import Row
from parity.compare.scale import rms
from parity.layers.isolate import Isolated, Unfit
from parity.layers.layer import Layer
from parity.result import Blame
from parity.sides.torch import TorchRun
from parity.twin.twin import State, Twin


def blame(
    twin: Twin,
    rows: Sequence[Row],
    layers: Mapping[bool, Isolated],
    oracle: Record,
    flax: Record,
    states: Sequence[State],
) -> Blame | None:
    """Returns what is wrong first: a layer on its own, the body between the layers, the loss, the optimiser.

    rows:   all of the float64 tier
    layers: by mode (training or not), what isolation found, the modules around layers included
    """
    wrong = {row.key for row in rows if not row.passed}
    if untied := _untied(twin):
        return Blame.because(untied, "", "backward", "the model's own body")
    for train, direction in (
        (True, "forward"),
        (False, "evaluation"),
        (True, "backward"),
        (True, "buffers"),
        (False, "buffers"),
    ):
        guilty = _first(layers[train], "forward" if direction == "evaluation" else direction)
        if guilty:
            return _of_layer(twin, guilty, direction, train, states[0])
    wrong_loss = any(key.step == 1 and key.phase == "forward" and key.tensor == "loss" for key in wrong)
    for key in _of_first_step(wrong):
        if key.phase == "gradients" and wrong_loss:
            break  # the loss is wrong, the model is right
        train = key.phase != "evaluation"
        if key.is_output and (unfit := layers[train].unfit):
            return _of_shape(unfit[0], key.phase)
        if key.is_output and (inherited := _inherited(layers[train])):
            cause = explain_body(twin, states[0], train, oracle[key], flax[key], key.tensor)
            return Blame.because(cause or inherited[0], "", key.phase, inherited[1])
        cause = _of_tensor(oracle, flax, key)
        return Blame.because(cause, "", key.phase, f"the model's own body, between its layers: {key}")
    if wrong_loss or any(key.step == 1 and key.phase == "gradients" for key in wrong):
        return Blame.because(of_loss(twin, states[0], oracle, flax), "loss", "loss", "the loss")
    return of_optimizer(twin, wrong, oracle, flax, states)


def _untied(twin: Twin) -> Cause | None:
    """A tensor that one side shares between layers, and the other does not."""
    shared: dict[int, list[str]] = {}
    for name, parameter in twin.torch.model.named_parameters(remove_duplicate=False):
        shared.setdefault(id(parameter), []).append(name)
    paths = {leaf.key: leaf.path for leaf in twin.leaves if leaf.rows is None and not leaf.merged}
    for names in shared.values():
        if len({paths[name] for name in names if name in paths}) > 1:
            return Cause("weight-tying", f"{' and '.join(names)} are one tensor in PyTorch, several in Flax", 0.0)
    keys: dict[tuple, list[str]] = {}
    for key, path in paths.items():
        keys.setdefault(path, []).append(key)
    for names in keys.values():
        if sum(any(name in group for name in names) for group in shared.values()) > 1:
            return Cause("weight-tying", f"{' and '.join(names)} are one tensor in Flax, several in PyTorch", 0.0)
    return None


def _of_shape(unfit: Unfit, direction: str) -> Blame:
    """The alteration by which PyTorch's layer gives results of Flax's shape: a hint only."""
    label, call, why, results = unfit
    for alteration in ALTERATIONS:
        for cause, text, altered in alteration(call.module):
            with suppress(RuntimeError, ValueError, TypeError, IndexError), torch.no_grad():
                output = altered.double().eval()(*call.args, **call.kwargs)
                if isinstance(output, torch.Tensor) and sorted(output.shape) == sorted(results[0]):
                    return Blame.because(Cause(cause, f"{why}; perhaps {text}", math.nan), call.name, direction, label)
    return Blame(call.name, direction, "", f"{label}: {why}")


def _inherited(isolated: Isolated) -> tuple[Cause | None, str] | None:
    """Returns, in the body between the layers, the first layer that is given something else."""
    for label, *pair in isolated.received:
        theirs, ours = (np.asarray(array, np.float64) for array in pair)  # masks too
        scale = max(rms(theirs), 1e-300) if theirs.size else 1.0
        if theirs.shape != ours.shape or np.max(np.abs(theirs - ours), initial=0.0) > 1e-10 * scale:
            return explain_tensor(theirs, ours), f"the model's own body, before {label}"
    return None


def _of_first_step(wrong: set[Key]) -> Iterator[Key]:
    """Yields what is wrong in the first step, outputs first, then in the order in which training meets it."""
    first = sorted((key for key in wrong if key.step == 1 and not key.layer), key=str)
    for phase in ("forward", "evaluation"):
        yield from (key for key in first if key.phase == phase and key.is_output)
    for phase in ("gradients", "buffers", "evaluation"):
        yield from (key for key in first if key.phase == phase)


def _first(isolated: Isolated, direction: str) -> Layer | None:
    """The first layer that is wrong by itself while all that it calls is right; backward, the last one."""
    failing = {row.key.layer for row in isolated.rows if not row.passed and row.key.phase == direction}
    wrong = [layer for layer in isolated.layers if layer.label in failing]
    inner = [layer for layer in wrong if not any(_inside(other, layer) for other in wrong)]
    return next(iter(inner if direction != "backward" else reversed(inner)), None)


def _inside(inner: Layer, outer: Layer) -> bool:
    call = inner.theirs.parent
    while call is not None:
        if call is outer.theirs:
            return True
        call = call.parent
    return False


def _of_layer(twin: Twin, layer: Layer, direction: str, train: bool, state: State) -> Blame:
    run = TorchRun(twin, "float64", "cpu")
    run.load(state)
    call = layer.theirs
    module = run.model.get_submodule(call.name).train(train).cpu()
    parts: dict[str, Arrays] = {"forward": {}, "backward": {}, "buffers": {}}
    repeated = _repeated((call.args, call.kwargs))  # isolation has the sum of their gradients, an argument a part of it
    for key, array in layer.flax.items():
        if not (repeated and key.is_input):
            parts[key.phase][key.tensor] = array
    outputs = list(parts["forward"].values())
    args, kwargs = tree_map(_on_cpu, (call.args, call.kwargs))
    cotangent = next(iter(call.cotangents.values()), None)
    explain = partial(explain_layer, module, args, kwargs, outputs[0] if outputs else None, training=train)
    back = {"cotangent": _on_cpu(cotangent), "flax_grads": parts["backward"]}
    back = back if cotangent is not None and parts["backward"] else {}
    cause = explain(flax_buffers=parts["buffers"] or None, **back)
    if not cause and direction in ("forward", "evaluation"):  # gradients that are not finite hide the reason
        cause = explain()
    kind = type(call.module).__name__
    return Blame.because(cause, call.name, direction, f"{layer.label} ({kind}), {direction}")


def _repeated(arguments: Any) -> bool:
    """Is one tensor given several times, as in the attention of a sequence to itself?"""
    tensors = [x for x in tree_leaves(arguments) if isinstance(x, torch.Tensor)]
    return any(a.shape == b.shape and torch.equal(a, b) for i, a in enumerate(tensors) for b in tensors[:i])


def _on_cpu(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value


def _of_tensor(oracle: Record, flax: Record, key: Key) -> Cause | None:
    if key not in oracle or key not in flax:
        return None
    return explain_tensor(oracle[key], flax[key])
