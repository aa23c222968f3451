"""One line for a model of a user's that does not run: what it was given, and what would be right."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from d2l_jax.errors import InputError, in_a_line
from parity.models.copies import copy_of
from parity.twin.inputs import Inputs, failure_of

LOOKUPS = (torch.nn.Embedding.forward, torch.nn.EmbeddingBag.forward)
Failure = Callable[[Inputs], Exception | None]


def explained(error: Exception, theirs: torch.nn.Module, ours: Failure, flax_call: Callable, inputs: Inputs) -> None:
    """Raises InputError where either model does not run by itself, and says what of its inputs would be right.

    error:     what has been raised; where both models run, it is left to be raised
    ours:      what Flax's model raises on such inputs
    flax_call: of Flax's model
    """
    sides: tuple[tuple[str, Failure, Callable], ...] = (
        ("PyTorch", lambda x: failure_of(theirs, x) or failure_of(theirs, x, train=True), theirs.forward),
        ("Flax", ours, flax_call),
    )
    for side, failure, call in sides:
        if (raised := failure(inputs)) is not None:
            hint = _arguments(side, call, inputs) or _ids(theirs, inputs) or _remedy(inputs, failure)
            plain = f"{side}'s model does not run on inputs {inputs.shapes}: {in_a_line(raised)}"
            raise InputError(hint or plain) from error


def _arguments(side: str, call: Callable, inputs: Inputs) -> str:
    """Tells that the model does not take so many inputs, or not by these names."""
    try:
        parameters = inspect.signature(call)
    except (TypeError, ValueError):
        return ""
    args = () if inputs.names else inputs.arrays
    try:
        parameters.bind_partial(*args, **dict.fromkeys(inputs.names))
    except TypeError:
        handed = f"the inputs {', '.join(inputs.names)}" if inputs.names else f"{len(inputs.arrays)} inputs"
        right = "; of a batch [images, labels] the images alone are the inputs" if len(args) == 2 else ""
        if inputs.names and len(parameters.parameters) == 1:
            right = "; the entries of a dict are keywords: a model that takes the dict itself needs one around it"
        return f"{side}'s model takes {parameters}, and is given {handed}{right}"
    return ""


def _ids(model: torch.nn.Module, inputs: Inputs) -> str:
    """Tells which embedding of PyTorch's gets an id that it does not have, or numbers that are no ids."""
    lines: list[str] = []

    def look(name: str) -> Callable:
        def hook(module: Any, args: tuple) -> None:
            ids = args[0] if args else None
            if lines or not isinstance(ids, torch.Tensor) or not ids.numel():
                return
            layer = f"{name or 'PyTorch'} ({type(module).__name__} of {module.num_embeddings})"
            if ids.is_floating_point():
                lines.append(f"{layer} gets numbers in {str(ids.dtype)[6:]}; ids are integers: x.astype(np.int64)")
            elif ids.max() >= module.num_embeddings or ids.min() < 0:
                wrong = int(ids.max() if ids.max() >= module.num_embeddings else ids.min())
                lines.append(f"{layer} gets the id {wrong}; ids from 0 to {module.num_embeddings - 1} are right")

        return hook

    run = copy_of(model)
    for name, module in run.named_modules():
        if type(module).forward in LOOKUPS:  # one that counts positions by itself is given no ids
            module.register_forward_pre_hook(look(name))
    failure_of(run, inputs)
    return lines[0] if lines else ""


def _remedy(inputs: Inputs, failure: Failure) -> str:
    """Tells what of the inputs has to be otherwise, where the model runs then."""
    for altered, text in _alterations(inputs):
        if failure(altered) is None:
            return text
    return ""


def _alterations(inputs: Inputs) -> list[tuple[Inputs, str]]:
    """Lists inputs as they may have been meant, the likelier first, with what is to be said."""
    arrays = inputs.arrays
    ranks = [x.ndim for x in arrays]
    alterations = []
    if max(ranks) > 3:
        moved = [np.moveaxis(x, 1, -1) if x.ndim > 3 else x for x in arrays]
        shape = next(x.shape for x in arrays if x.ndim > 3)
        text = f"inputs of shape {shape} have their channels first; (batch, height, width, channels) is right"
        alterations.append((inputs.with_arrays(*moved), f"{text}: np.moveaxis(x, 1, -1)"))
        moved = [np.moveaxis(x, -1, 1) if x.ndim > 3 else x for x in arrays]
        text = f"inputs of shape {shape} have their channels last; this model puts them there, and takes them first"
        alterations.append((inputs.with_arrays(*moved), f"{text}: np.moveaxis(x, -1, 1)"))
    if any(x.dtype.kind == "i" for x in arrays):
        floats = inputs.with_arrays(*(x.astype(np.float32) for x in arrays))
        kind = next(d for d, x in zip(inputs.dtypes, arrays, strict=True) if x.dtype.kind == "i")
        text = f"inputs are {kind}, and the model computes with them; floats are right: x.astype(np.float32)"
        alterations.append((floats, text + (" / 255" if kind == "uint8" else "")))
    if any(x.dtype.kind == "f" for x in arrays):
        whole = inputs.with_arrays(*(x.astype(np.int64) if (x == np.round(x)).all() else x for x in arrays))
        alterations.append((whole, "inputs are floats where ids are needed; integers are right: x.astype(np.int64)"))
    if all(x.ndim and len(x) == 1 for x in arrays):
        twice = inputs.with_arrays(*(np.concatenate([x, x]) for x in arrays))
        text = "a batch of 1 is too few for a statistic over the batch (BatchNorm in training); 2 or more are right"
        alterations.append((twice, text))
    return alterations
