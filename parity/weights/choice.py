"""Which of a checkpoint's tensors are a model's: those under the one prefix where its names stand, all and no others.

A wrapper's `module.`, a trainer's `state_dict`, an average beside the model: each is a prefix.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from os.path import commonprefix
from typing import Any, NamedTuple

import numpy as np

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf
from parity.weights.constants import constants
from parity.weights.content import TIED_TO, Content
from parity.weights.tensors import to_numpy

COUNTER = "num_batches_tracked"
MEAN = "running_mean"
AVERAGED = "n_averaged"  # what AveragedModel counts, beside "module."
TIED = 8  # surplus keys that are looked up among the others' numbers


class Choice(NamedTuple):
    """The tensors under a prefix, by the rest of their names, against a model's.

    missing, unexpected: keys, but for counters of batches and tied keys, which `allowed` describes
    """

    prefix: str
    tensors: dict[str, Any]
    missing: list[str]
    unexpected: list[str]
    misshapen: int
    allowed: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unexpected or self.misshapen)

    @property
    def likeness(self) -> tuple[float, float]:
        """Returns how much of the model is there, of its shape and at all, for an error where nothing fits."""
        named = len(self.tensors) - len(self.unexpected)
        every = len(self.tensors) + len(self.missing)
        return (named - self.misshapen) / every, named / every


def choices(leaves: list[Leaf], content: Content, entry: str = "") -> Iterator[Choice]:
    """Yields what stands under each prefix that begins with `entry`, the shortest prefix first."""
    groups: dict[str, dict[str, Any]] = {"": {}}
    for name, tensor in content.tensors.items():
        parts = name.split(".")
        for depth in range(len(parts)):
            prefix = "".join(f"{part}." for part in parts[:depth])
            groups.setdefault(prefix, {})[name[len(prefix) :]] = tensor
    for prefix, tensors in sorted(groups.items(), key=lambda group: group[0].count(".")):
        if not entry or prefix.startswith(entry + "."):
            yield _choice(leaves, prefix, *_under_their_names(leaves, prefix, tensors, content.others))


def _under_their_names(
    leaves: list[Leaf], prefix: str, tensors: dict[str, Any], others: dict[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Returns the tensors, and what is said: of two tied keys, a file may hold that which the model lacks."""
    expected = {leaf.key for leaf in leaves}
    tensors = dict(tensors)
    said = []
    for key in [leaf.key for leaf in leaves if leaf.key not in tensors]:
        note = others.get(prefix + key, "")
        held = note.removeprefix(TIED_TO).removeprefix(prefix)
        if note.startswith(TIED_TO) and held in tensors and held not in expected:
            tensors[key] = tensors.pop(held)
            said.append(f"{key} is {held}, to which the file ties it")
    return tensors, said


def _choice(leaves: list[Leaf], prefix: str, tensors: dict[str, Any], allowed: list[str]) -> Choice:
    expected = {leaf.key: leaf for leaf in leaves}
    for key in [key for key in tensors if key not in expected and _sibling(key, expected)]:
        del tensors[key]
    if counters := [key for key in expected if key not in tensors and _sibling(key, tensors)]:
        tensors |= {key: np.zeros(expected[key].shape, np.int64) for key in counters}
        allowed.append(f"{COUNTER} is not there and starts at 0")
    missing = [key for key in expected if key not in tensors]
    for key in missing[:] if len(missing) < len(expected) else ():
        twins = [leaf.key for leaf in leaves if leaf.path == expected[key].path and leaf.key in tensors]
        if twins:
            missing.remove(key)
            tensors[key] = tensors[twins[0]]
            allowed.append(f"{key} is {twins[0]}, to which the model ties it")
    unexpected = [key for key in tensors if key not in expected]
    misshapen = sum(tuple(tensors[key].shape) != leaf.shape for key, leaf in expected.items() if key in tensors)
    if not missing and not misshapen:
        surplus = {key: tensors[key] for key in unexpected}
        gone = _computed(surplus) | _twins(surplus, {key: tensors[key] for key in expected})
        allowed += dict.fromkeys(gone.values())
        tensors = {key: tensor for key, tensor in tensors.items() if key not in gone}
        unexpected = [key for key in unexpected if key not in gone]
    return Choice(prefix, tensors, missing, unexpected, misshapen, tuple(allowed))


def _computed(surplus: dict[str, Any]) -> dict[str, str]:
    """Returns what is said of each surplus key whose numbers nobody has learned."""
    return {
        key: f"{keys[0]}{f' (and {len(keys) - 1} more)' * (len(keys) > 1)} {word} left out"
        for word, keys in constants(surplus).items()
        for key in keys
    }


def _twins(surplus: dict[str, Any], others: dict[str, Any]) -> dict[str, str]:
    """Returns what is said of each surplus key that is another tensor once more."""
    if len(surplus) > TIED:
        return {}
    twins = {key: _twin(tensor, others) for key, tensor in surplus.items()}
    return {key: f"{key} is {twin} once more and left out" for key, twin in twins.items() if twin}


def _sibling(key: str, tensors: Any) -> bool:
    """Tells whether it counts the batches of a normalisation whose other statistics are among `tensors`."""
    home, _, last = key.rpartition(".")
    return last == COUNTER and (f"{home}.{MEAN}" if home else MEAN) in tensors


def _twin(tensor: Any, others: dict[str, Any]) -> str:
    """Returns the key of a tensor with the same numbers, of which not all are the same number; "" if there is none."""
    same_shape = {key: other for key, other in others.items() if other.shape == tensor.shape}
    if not same_shape:
        return ""
    try:
        array = to_numpy(tensor)
        equal = [key for key, other in same_shape.items() if np.array_equal(array, to_numpy(other))]
    except InputError:
        return ""
    return equal[0] if equal and array.size > 1 and np.any(array != array.flat[0]) else ""


def part_of(leaves: list[Leaf], content: Content, entry: str = "") -> str:
    """Returns the name of the only part of a model that fits, "encoder"; "" if there is none, or more than one."""
    names = [name for name in content.tensors if not entry or name.startswith(f"{entry}.")]
    shared = commonprefix(names)
    prefix = shared[: shared.rfind(".") + 1]
    tensors = {name[len(prefix) :]: content.tensors[name] for name in names}
    heads = dict.fromkeys(leaf.key[: dot.start()] for leaf in leaves for dot in re.finditer(r"\.", leaf.key))
    # A file of "decoder." names its part itself; another one of the same shape is not meant.
    named = [head for head in heads if f".{prefix}".endswith(f".{head}.")]
    fitting = []
    for head in named or heads:
        part = [replace(leaf, key=leaf.key[len(head) + 1 :]) for leaf in leaves if leaf.key.startswith(f"{head}.")]
        if _choice(part, prefix, dict(tensors), []).fits:
            fitting.append(head)
    return fitting[0] if len(fitting) == 1 else ""


def chosen(fitting: list[Choice], content: Content, entry: str) -> Choice | None:
    """Returns the only choice; None if there is none. Raises InputError, a predicate, where several differ."""
    distinct = []
    for choice in fitting:
        if not any(_same(choice, other) for other in distinct):
            distinct.append(choice)
    if not entry:
        beside = [len(left_out(choice, content)) for choice in distinct]
        whole = [choice for choice, rest in zip(distinct, beside) if not rest or rest < len(choice.tensors)]
        if len(distinct) == 1 and not whole:
            name = distinct[0].prefix.rstrip(".")
            raise InputError(f"holds a larger model, of which a part fits; say entry={name!r} to load it")
        distinct = whole or distinct
    if len(distinct) > 1:
        exact = [choice for choice in distinct if choice.prefix == f"{entry}."]
        if len(exact) == 1:
            return exact[0]
        names = ", ".join(choice.prefix.rstrip(".") or "the top" for choice in distinct)
        raise InputError(
            f"holds {len(distinct)} that fit: {names}; say which, entry={distinct[0].prefix.rstrip('.')!r}"
        )
    return distinct[0] if distinct else None


def _same(left: Choice, right: Choice) -> bool:
    """Tells whether both are the same tensors, or hold the same numbers, as an average of one."""
    others = [right.tensors[key] for key in left.tensors]
    try:
        return all(one is other or _equal(one, other) for one, other in zip(left.tensors.values(), others))
    except InputError:  # no plain numbers
        return False


def _equal(one: Any, other: Any) -> bool:
    return np.array_equal(to_numpy(one), to_numpy(other))


def left_out(choice: Choice, content: Content) -> list[str]:
    """Returns the tensors that stand beside those of the choice, in the same mapping or module."""
    homes = Counter(home for name, home in content.home.items() if name.startswith(choice.prefix))
    return [
        name
        for name, home in content.home.items()
        if home in homes and choice.prefix.startswith(home) and not name.startswith(choice.prefix)
        if name.rpartition(".")[2] != AVERAGED
    ]


def names_of(content: Content) -> str:
    """Returns the first words of all names, for an error."""
    words = dict.fromkeys(name.partition(".")[0] for name in [*content.tensors, *content.others])
    return ", ".join(list(words)[:8])


def without_prefix(leaves: list[Leaf]) -> str:
    """Returns what all keys of a model begin with: "net." of "net.0.weight"; "" for nothing."""
    heads = {leaf.key.partition(".")[0] for leaf in leaves if "." in leaf.key}
    return f"{heads.pop()}." if len(heads) == 1 and all("." in leaf.key for leaf in leaves) else ""
