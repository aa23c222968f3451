"""Modules of Flax's that end behind PyTorch's, with a function that PyTorch's model computes around its own."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from parity.arrays.torch_arrays import to_numpy
from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.places import VAGUE
from parity.blame.elsewhere import Results
from parity.blame.one_call import at_call
from parity.layers.isolated import Isolated
from parity.layers.layer import Layer
from parity.layers.received import gap_of
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.result import Blame
from parity.sides.torch import TorchRun
from parity.twin.twin import State, Twin, in_turn

NEAR = 1e-9  # relative to a tensor's scale


def without_longer(guilty: Sequence[Blame], twin: Twin, isolated: Isolated, state: State) -> list[Blame]:
    """Returns the blame without layers of no telling cause that only end elsewhere: what they return is right there."""

    def is_longer(blame: Blame) -> bool:
        calls = [layer for layer in isolated.layers if layer.theirs.name == blame.layer]
        vague = blame.direction == "forward" and (not blame.cause or blame.cause in VAGUE)
        return vague and bool(calls) and all(_is_met_behind(twin, state, layer) for layer in calls)

    return [blame for blame in guilty if not is_longer(blame)]


def _is_met_behind(twin: Twin, state: State, layer: Layer) -> bool:
    """Tells whether PyTorch's model makes of what the layer returns all that Flax's layer returns."""
    ours = [array for key, array in layer.flax.items() if key.phase == "forward"]
    with suppress(*UNFIT):
        return bool(ours) and all(
            any(x.shape == array.shape and gap_of(x, array) <= NEAR for x in _behind(twin, state, layer, array.size))
            for array in ours
        )
    return False


def _behind(twin: Twin, state: State, layer: Layer, size: int) -> list[np.ndarray]:
    """Returns what functions give, of one number of numbers, once the layer has returned."""
    run = TorchRun(twin, "float64", "cpu")
    run.load(state)
    run.model.train()
    results = Results(size)
    before: list[int] = []

    def returned(result: Any) -> None:
        before.append(len(results.found))

    batch = twin.batches[0]
    call = at_call(run.model.get_submodule(layer.theirs.name), layer.theirs.number, returned=returned)
    with call, torch_precision(run.dtype), ImposedOnTorch(twin.torch_numbers(batch)), results.running():
        for _ in in_turn(twin.torch.turns, run.model, run.batch(batch)):
            pass
    return [to_numpy(tensor) for _, tensor in results.found[before[0] :]] if before else []
