"""Which of several nested modules with the same tensors is which: a block, or the Sequential within it."""

from collections.abc import Collection, Mapping, Sequence

import torch
from flax import linen, nnx

from parity.layers.layer import Layer
from parity.models.calls import Path
from parity.twin.modules import nested
from parity.twin.twin import Twin

SEQUENCES = (torch.nn.Sequential, nnx.Sequential, linen.Sequential)


def with_nested(twin: Twin, paths: Collection[Path]) -> dict[str, Path]:
    """{PyTorch's submodule: Flax's path}: where Flax has one module around some layers, all of PyTorch's are tried.

    paths: of the modules that Flax's model calls
    """
    names = dict(twin.names)
    for theirs, ours in nested(twin.leaves, twin.torch.model, paths):
        if len(ours) == 1:
            names |= dict.fromkeys(theirs, ours[0])
    return names


def dropped(layers: Sequence[Layer], failing: Collection[str], names: Mapping[str, Path]) -> set[str]:
    """Returns the labels of those that are another module than Flax's.

    Of several, one that fails where another passes is; where all fail it is all but the one of Flax's kind, a sequence
    or a block, or else the partner that it has by its tensors.

    failing: the labels of those that differ from Flax's
    names:   the twin's, by which each of Flax's has one partner
    """
    labels = set[str]()
    by_call: dict[tuple[Path, int], list[Layer]] = {}
    for layer in layers:
        by_call.setdefault((layer.ours.path, layer.ours.number), []).append(layer)
    for several in by_call.values():
        wrong = [layer for layer in several if layer.label in failing]
        if len(wrong) == len(several) > 1:
            wrong.remove(max(wrong, key=lambda layer: (_of_one_kind(layer), layer.theirs.name in names)))
        labels |= {layer.label for layer in wrong} if len(several) > 1 else set()
    return labels


def _of_one_kind(layer: Layer) -> bool:
    return isinstance(layer.theirs.module, SEQUENCES) == isinstance(layer.ours.module, SEQUENCES)
