"""A map that values have found, where all names of the two models agree: the names are the map then."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from d2l_jax.weights.leaf import Leaf
from parity.match.fitting import NAMES

PART = re.compile(r"[\W_]+")


def named_alike(leaves: Sequence[Leaf], tensors: Mapping[str, torch.Tensor]) -> list[Leaf]:
    """Returns the leaves, each with the key of its own name, where every one has such a key and it fits.

    Layers that both models call the same may take each other's parts; by a checkpoint's names they would not.

    tensors: PyTorch's state_dict
    """
    keys = {_plain(key): key for key in tensors}
    own = [keys.get(name) for name in map(_own_name, leaves)]
    if any(key is None or leaf.rows or leaf.merged for key, leaf in zip(own, leaves)):
        return list(leaves)
    same = len(keys) == len(tensors) and set(own) == {leaf.key for leaf in leaves}
    fits = all(tensors[key].shape == tensors[leaf.key].shape for key, leaf in zip(own, leaves) if key)
    if not same or not fits:
        return list(leaves)
    order = {key: number for number, key in enumerate(tensors)}
    renamed = [replace(leaf, key=key) for key, leaf in zip(own, leaves) if key]
    return sorted(renamed, key=lambda leaf: order[leaf.key])


def names_agree(leaves: Sequence[Leaf]) -> bool:
    """Tells whether every tensor is called the same in both models, a shared one by one of its names."""
    alike = {leaf.path for leaf in leaves if _own_name(leaf) == _plain(leaf.key)}
    return alike == {leaf.path for leaf in leaves}


def _own_name(leaf: Leaf) -> str:
    *modules, last = map(str, leaf.path)
    return _plain(".".join([*modules, NAMES.get(last, last)]))


def _plain(name: str) -> str:
    """Returns a name as its parts: layers[0], layers_0 and layers.0 are one."""
    return ".".join(part for part in PART.split(name) if part)
