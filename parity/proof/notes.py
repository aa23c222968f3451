"""Lines beside a verdict: what could not be compared, and what the verdict rests on instead."""

from collections.abc import Collection, Iterable, Iterator

import torch

from parity.layers.boundaries import OTHER_BOUNDS
from parity.layers.isolated import Isolated
from parity.proof.steps import Kept
from parity.sides.flax import FlaxRun
from parity.twin.twin import Twin


def layers_with_tensors(twin: Twin) -> tuple[str, ...]:
    """Returns the names of PyTorch's submodules that hold tensors of the map themselves, shared ones once."""
    model = twin.torch.model
    owners = {key.rpartition(".")[0] for leaf in twin.leaves for key in leaf.keys}
    modules = dict(model.named_modules())
    inside = {id(m.out_proj) for m in modules.values() if isinstance(m, torch.nn.MultiheadAttention)}
    return tuple(name for name, m in modules.items() if name and name in owners and id(m) not in inside)


def notes_of(
    runs: Iterable[FlaxRun],
    alone: Isolated,
    holding: Collection[str],
    kept: Kept,
    idle: Collection[str] = (),
) -> Iterator[str]:
    """Yields a line for what was not compared: states of an optimiser, detached inputs, idle bounds, all layers."""
    for names, side, does, other in (
        (kept.unreached, "PyTorch", "detaches", "Flax"),
        (kept.stopped, "Flax", "stops", "PyTorch"),
    ):
        if names:
            yield (
                f"no gradient reaches {', '.join(sorted(names))} in {side}, which {does} it: {other}'s is not compared,"
                " and no training sees it"
            )
    if kept.cut:
        yield (
            f"PyTorch detaches a part of what it makes of {', '.join(sorted(kept.cut))}, and Flax does not: that"
            " gradient is not compared, and no training sees it"
        )
    if kept.marks:
        names = ", ".join(sorted(kept.marks))
        yield f"{names}: whole numbers, as of a mask; their gradient differs, and no training sees it"
    if idle:
        yield (
            f"no number reaches all bounds of {', '.join(idle)} in PyTorch: Flax without them computes the same here,"
            " and other weights or inputs may tell them apart"
        )
    states = dict.fromkeys(name for run in runs for held in run.slots for name in held.alone)
    if states:
        yield f"of the optimiser's state, {', '.join(states)} has no counterpart; the parameters are judged"
    if others := [name for name, why in alone.skipped.items() if why == OTHER_BOUNDS]:
        yield f"{', '.join(others)}: {OTHER_BOUNDS}"
    if holding and not alone.layers:
        reasons = dict.fromkeys(alone.skipped.values())
        why = f": {'; '.join(reasons)}" if reasons else ", as no call of a layer was seen on both sides"
        yield f"none of {len(holding)} layers could be compared on its own{why}; the verdict rests on the whole model"
