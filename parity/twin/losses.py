"""A user's loss: whether its targets are classes or probabilities, and PyTorch's in the precision of what it takes."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import torch

from parity.arrays.key import scores_of
from parity.arrays.layout import named_leaves
from parity.models.copies import copy_of

CLASSES = {
    "cross_entropy", "cross_entropy_loss", "cross_entropy_of_probabilities", "masked_cross_entropy", "nll_loss",
    "multi_margin_loss", "softmax_cross_entropy_with_integer_labels", "CrossEntropyLoss", "NLLLoss", "MultiMarginLoss",
    "one_hot",
}  # fmt: skip
DEPTH = 3  # of functions that call functions


def of_classes(losses: tuple[Any, Any], outputs: Any) -> bool:
    """Tells whether targets are classes: Flax's loss takes them, and it names a loss of classes or takes no numbers.

    losses:  Flax's and PyTorch's
    outputs: Flax's, as shapes
    """
    implied = any(_names(loss, DEPTH) & CLASSES for loss in losses)
    kinds = (True, False) if implied else (False, True)
    return next((kind for kind in kinds if _takes(losses[0], outputs, kind)), False)


def of_probabilities(loss: Callable, outputs: Any) -> bool:
    """Tells whether PyTorch's loss gives a number for targets within 0 and 1 alone, as binary cross-entropy does.

    outputs: Flax's, as shapes
    """
    return _gives_number(loss, outputs, 0.5) and not _gives_number(loss, outputs, -1.0)


def _gives_number(loss: Callable, outputs: Any, target: float) -> bool:
    filled = [torch.full(array.shape, target) for _, array in named_leaves(outputs, "output")]
    halves = jax.tree.map(lambda array: torch.full(array.shape, 0.5), outputs)
    try:
        return bool(torch.isfinite(loss(halves, filled[0] if len(filled) == 1 else filled)))
    except Exception:  # of the user's own function, whatever it is
        return False


def _takes(loss: Callable, outputs: Any, classes: bool) -> bool:
    arrays = dict(named_leaves(outputs, "output"))
    targets: Any = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays.values()]
    if classes:
        scores = arrays[scores_of(arrays)].shape if arrays else ()
        targets = [jax.ShapeDtypeStruct(scores[:-1], "int32")] if scores else []
    try:
        jax.eval_shape(loss, outputs, targets[0] if len(targets) == 1 else targets)
    except Exception:  # of the user's own function, whatever it is
        return False
    return True


def _names(function: Any, depth: int) -> set[str]:
    """Returns the names of the function and of what it calls, so far as its code tells."""
    if isinstance(function, partial):
        return _names(function.func, depth)
    if not inspect.isfunction(function):
        return {getattr(function, "__name__", type(function).__name__)}
    code = function.__code__
    names = {function.__name__, *code.co_names, *code.co_freevars}
    cells = [cell.cell_contents for cell in function.__closure__ or () if cell != type(cell)()]
    called = [function.__globals__.get(name) for name in code.co_names] + cells
    for inner in called if depth else ():
        if isinstance(inner, partial | torch.nn.Module) or inspect.isfunction(inner):
            names |= _names(inner, depth - 1)
    return names


def in_precision(loss: Any) -> Any:
    """Returns PyTorch's loss so that the weights that it holds have the precision of the outputs."""
    if isinstance(loss, torch.nn.Module):
        return lambda outputs, targets: copy_of(loss).to(_dtype(outputs))(outputs, targets)
    if isinstance(loss, partial):
        return lambda outputs, targets: _cast(loss, _dtype(outputs))(outputs, targets)
    return loss


def _cast(loss: partial, dtype: torch.dtype) -> partial:
    def cast(value: Any) -> Any:
        return value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    return partial(loss.func, *map(cast, loss.args), **{name: cast(value) for name, value in loss.keywords.items()})


def _dtype(outputs: Any) -> torch.dtype:
    floats = [x for _, x in named_leaves(outputs, "output") if isinstance(x, torch.Tensor) and x.is_floating_point()]
    return floats[0].dtype if floats else torch.get_default_dtype()
