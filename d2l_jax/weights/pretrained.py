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
    """Puts what fits of a state_dict into `model`, which is returned; the log names the tensors that stay as they are.

    A tensor fits by its key, or by its key below `features`, and by its shape. Raises InputError where none does.
    """
    shapes = {leaf.key: leaf.shape for leaf in leaves(model)}
    below = "" if any(key in shapes for key in tensors) else "features."
    fitting = {below + key: array for key, array in tensors.items() if shapes.get(below + key) == array.shape}
    if not fitting:
        names = ", ".join(list(shapes)[:4])
        raise InputError(f"no tensor of {source} fits {type(model).__name__}; one with {names} ... is right")
    new = {key: array for key, array in state_dict(model).items() if key not in fitting}
    log.info("%d tensors from %s; new: %s", len(fitting), source, ", ".join(new) or "none")
    return put(model, new | fitting, source=source)
