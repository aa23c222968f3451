"""Layers of a model that has a mistake, by the numbers in their names: what they are given tells too little there.

A norm that stands before its layer in place of behind the sum, say, is given what its neighbour is given in PyTorch.
"""

import re
from collections import defaultdict

from parity.match.passing import Partner, Pass
from parity.match.torch_layers import TorchLayer
from parity.models.calls import Path

Pairs = dict[Path, TorchLayer]
Numbers = tuple[str, ...]


def numbered(run: Pass) -> Pairs:
    """Returns other partners of layers of one kind and size, where one was guessed: those with equal numbers.

    Their neighbours in the same module follow, though they were given what other layers were given.
    """
    groups = list(_of_one_size(run).values())
    guessed = [pairs for pairs in groups if any(run.partners[path].guessed for path in pairs)]
    others = [pairs for pairs in groups if pairs not in guessed]
    renamed = _all_renamed(guessed)
    parents = {path[:-1] for path in renamed}
    return renamed | _all_renamed([pairs for pairs in others if any(path[:-1] in parents for path in pairs)])


def renumber(run: Pass, renamed: Pairs) -> None:
    """Gives the layers of a run these partners."""
    for path, layer in renamed.items():
        if fits := run.fitting(layer, run.layers[path]):
            run.partners[path] = Partner(layer, fits.alternatives[0], True)


def _all_renamed(groups: list[Pairs]) -> Pairs:
    return {path: layer for pairs in groups for path, layer in _renamed(pairs).items() if layer is not pairs[path]}


def _renamed(pairs: Pairs) -> Pairs:
    """Returns the pairs that have equal numbers, all of them or else the first, where each has just one."""
    for part in (lambda numbers: numbers, lambda numbers: numbers[:1]):
        theirs = {part(_numbers(layer.name)): layer for layer in pairs.values()}
        ours = {path: part(_numbers(".".join(map(str, path)))) for path in pairs}
        if len(theirs) == len(pairs) and sorted(ours.values()) == sorted(theirs):
            return {path: theirs[numbers] for path, numbers in ours.items()}
    return {}


def _numbers(name: str) -> Numbers:
    return tuple(re.findall(r"\d+", name))


def _of_one_size(run: Pass) -> dict[tuple, Pairs]:
    groups: dict[tuple, Pairs] = defaultdict(dict)
    for path, partner in run.partners.items():
        layer = partner.layer
        if path in run.layers and layer.whole is None:
            shapes = [(name, run.recorded.arrays[key].shape) for name, key in sorted(layer.tensors.items())]
            groups[type(layer.module), *shapes][path] = layer
    return groups
