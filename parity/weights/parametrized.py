"""Weights that PyTorch computes from other tensors, computed as its evaluation mode does.

weight_norm, spectral_norm and pruning, in the old form (`weight_g`) and the new (`parametrizations.weight.original0`).
"""

import copy
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from parity.weights.tensors import Stored, to_numpy

Tensors = dict[str, Any]
Compute = Callable[..., np.ndarray]
NEW = re.compile(r"(.*)parametrizations\.([^.]+)\.(.+)")


def folded(tensors: Tensors) -> tuple[Tensors, list[str]]:
    """Returns the tensors with each such weight in the place of its parts, and what was folded, for a note."""
    groups: dict[str, Tensors] = {}
    for key in tensors:
        if name := _weight_of(key, tensors):
            groups.setdefault(name[0], {})[name[1]] = tensors[key]
    weights = {key: rule for key, parts in groups.items() if (rule := _rule(parts))}
    result: Tensors = {}
    for key, value in tensors.items():
        name = _weight_of(key, tensors)
        if name is None or name[0] not in weights:
            result[key] = value
        elif name[0] not in result:
            word, compute, parts = weights[name[0]]
            result[name[0]] = Stored(tuple(parts[0].shape), partial(_computed, compute, parts))
    words = dict.fromkeys(word for word, _, _ in weights.values())
    return result, [f"{word} folded into its weights" for word in words]


def _weight_of(key: str, tensors: Tensors) -> tuple[str, str] | None:
    """Returns (key of the weight, name of the part) of a tensor that is a part of a weight."""
    if new := NEW.fullmatch(key):
        return new[1] + new[2], new[3]
    name, _, part = key.rpartition("_")
    siblings = {"g": ("v",), "v": ("g", "orig"), "u": ("orig",), "orig": ("u", "mask"), "mask": ("orig",)}
    if name and any(f"{name}_{other}" in tensors for other in siblings.get(part, ())):
        return name, part
    return None


def _rule(parts: Tensors) -> tuple[str, Compute, tuple] | None:
    """Returns (word, how the weight is computed, from which tensors, that of the weight's shape first)."""
    for word, compute, names in (
        ("weight_norm", _weight_norm, ("original1", "original0")),
        ("weight_norm", _weight_norm, ("v", "g")),
        ("spectral_norm", _spectral_norm, ("original", "0._u", "0._v")),
        ("spectral_norm", _spectral_norm, ("orig", "u", "v")),
        ("pruning", np.multiply, ("orig", "mask")),
    ):
        if set(names) == parts.keys():
            return word, compute, tuple(parts[name] for name in names)
    return None


def _computed(compute: Compute, parts: tuple) -> np.ndarray:
    arrays = [to_numpy(part) for part in parts]
    return compute(*(array.astype(np.float64) for array in arrays)).astype(arrays[0].dtype)


def _weight_norm(direction: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The norm is over the axes of which `size` has one entry."""
    axes = tuple(i for i in range(direction.ndim) if size.ndim < direction.ndim or size.shape[i] == 1)
    norm = np.sqrt(np.sum(direction**2, axes, keepdims=True))
    return direction * (size.reshape(norm.shape) / norm)


def _spectral_norm(weight: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The axis of the outputs is 0, or 1 of a transposed convolution: that whose singular vectors u and v are."""
    axes = [axis for axis in range(min(2, weight.ndim)) if weight.shape[axis] == len(u)]
    matrices = [np.moveaxis(weight, axis, 0).reshape(len(u), -1) for axis in axes]
    pulled = [u @ matrix for matrix in matrices]
    best = max(range(len(axes)), key=lambda i: pulled[i] @ v / np.linalg.norm(pulled[i]))
    return weight / (pulled[best] @ v)


def as_computed(module: Any, tensors: Tensors) -> Tensors:
    """Returns the state_dict of a module at hand, its weights of other parametrizations as the module computes them."""
    result = dict(tensors)
    for prefix, layer in getattr(module, "named_modules", dict)():
        for name in getattr(layer, "parametrizations", ()):
            home = f"{prefix}." if prefix else ""
            start = f"{home}parametrizations.{name}."
            parts = {key: NEW.fullmatch(key) for key in tensors if key.startswith(start)}
            if parts and not _rule({part[3]: None for part in parts.values() if part}):
                result = {key: value for key, value in result.items() if key not in parts}
                result[home + name] = getattr(copy.deepcopy(layer).eval(), name).detach()
    return result


def others(tensors: Tensors) -> dict[str, str]:
    """Returns a hint for each weight that is computed in another way, by its key."""
    keys = {f"{new[1]}{new[2]}": key for key in tensors if (new := NEW.fullmatch(key))}
    advice = "torch.nn.utils.parametrize.remove_parametrizations(layer, name) before saving leaves a plain weight"
    return {weight: f" (computed from {key}; {advice})" for weight, key in keys.items()}
