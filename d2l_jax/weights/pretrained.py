"""Weights of a trained network in a model whose last layers are new: fine-tuning (book, section 14.2)."""

import logging
from collections.abc import Mapping

import numpy as np
from flax import nnx

from d2l_jax.errors import InputError
from d2l_jax.weights.rules import leaves
from d2l_jax.weights.state_dict import put, state_dict

log = logging.getLogger(__name__)


def put_pretrained(model: nnx.Module, tensors: Mapping[str, np.ndarray], source: str = "a state_dict") -> nnx.Module:
    """Puts what fits of a state_dict into `model`, which is returned; a warning names all that differs.

    A tensor fits by its key, or by its key below `features`, and by its shape. Raises InputError where none does.
    """
    shapes = {leaf.key: leaf.shape for leaf in leaves(model)}
    below = "" if any(key in shapes for key in tensors) else "features."
    fitting = {below + key: array for key, array in tensors.items() if shapes.get(below + key) == array.shape}
    if not fitting:
        names = ", ".join(list(shapes)[:4])
        raise InputError(f"no tensor of {source} fits {type(model).__name__}; one with {names} ... is right")
    new = {key: array for key, array in state_dict(model).items() if key not in fitting}
    left = [f"{key} {array.shape}" for key, array in tensors.items() if below + key not in fitting]
    told = (len(fitting), source, ", ".join(new) or "none", ", ".join(left) or "none")
    log.warning("%d tensors are from %s; new: %s; left out of the file: %s", *told)
    return put(model, new | fitting, source=source)
