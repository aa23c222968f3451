"""A batch of a user's as people have it: arrays and tensors, tuples and lists, dicts of keywords."""

import copy
import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from d2l_jax.errors import InputError
from parity.arrays.layout import Axes, channels_first, copied, of_inputs
from parity.models.copies import copy_of
from parity.models.own_class import give_own_class
from parity.models.sparse import sparse_layout, with_zeros

NUMBERS = "numbers as an array or a tuple of arrays, or a dict of them for keywords, are right"


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model: floats in float32, integers in int64, as PyTorch wants ids.

    dtypes: in which the user has them
    names:  the keywords by which both models get them; () where they have none
    axes:   of each, Flax's axes in PyTorch's order
    sparse: by its number the layout of each that PyTorch's model gets as a sparse tensor; Flax's gets it dense
    """

    arrays: tuple[np.ndarray, ...]
    dtypes: tuple[str, ...]
    names: tuple[str, ...]
    axes: tuple[Axes, ...]
    sparse: Mapping[int, torch.layout] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Any) -> "Inputs":
        """Returns what `parity.check` is called with as arrays. Raises InputError where they are none."""
        names = tuple(inputs) if isinstance(inputs, Mapping) else ()
        if not all(isinstance(name, str) for name in names):
            raise InputError(f"inputs have the keys {names}; the names of the models' arguments are right")
        parts = list(_parts(inputs))
        values = [_array(value, name) for name, value in parts]
        if not values:
            raise InputError(f"inputs are empty; {NUMBERS}")
        arrays = tuple(map(_settled, values))
        axes = tuple(of_inputs(x.ndim) for x in arrays)
        sparse = {number: layout for number, (_, x) in enumerate(parts) if (layout := sparse_layout(x))}
        return cls(arrays, tuple(str(x.dtype) for x in values), names, axes, sparse)

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Returns them as PyTorch's model gets them."""
        return tuple(torch.as_tensor(copied(x, at)) for x, at in zip(self.arrays, self.axes, strict=True))

    def with_arrays(self, *arrays: np.ndarray) -> "Inputs":
        """Returns others of the same kinds."""
        return replace(self, arrays=arrays)

    @property
    def shapes(self) -> str:
        """The shapes in words."""
        return " and ".join(f"{x.shape} ({dtype})" for x, dtype in zip(self.arrays, self.dtypes, strict=True))


def _parts(inputs: Any) -> Iterator[tuple[str, Any]]:
    """Yields (name, value) of each: a list of arrays are several, as of a DataLoader; one of numbers is an array.

    Raises InputError of a list of arrays of one shape, which may be meant as one array that is stacked of them.
    """
    if isinstance(inputs, torch.nn.utils.rnn.PackedSequence):
        yield "inputs", inputs
    elif isinstance(inputs, Mapping):
        yield from ((f"inputs[{name!r}]", value) for name, value in inputs.items())
    elif isinstance(inputs, tuple) or (isinstance(inputs, list) and any(getattr(x, "shape", ()) for x in inputs)):
        shapes = {tuple(getattr(x, "shape", ())) for x in inputs}
        if isinstance(inputs, list) and len(inputs) > 1 and len(shapes) == 1:
            many = f"inputs are a list of {len(inputs)} arrays of one shape, {shapes.pop()}"
            raise InputError(f"{many}: tuple(inputs) is right for {len(inputs)} arguments, np.stack(inputs) for one")
        yield from ((f"inputs[{number}]", value) for number, value in enumerate(inputs))
    else:
        yield "inputs", inputs


def _array(value: Any, name: str) -> np.ndarray:
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        raise InputError(f"{name} is a PackedSequence; the padded array and its lengths, packed within, are right")
    if isinstance(value, list) and any(isinstance(x, torch.Tensor) for x in value):
        value = torch.stack(value)
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value
    if sparse_layout(value):
        value = with_zeros(value)
    if hasattr(value, "__iter__") and not hasattr(value, "__len__") or isinstance(value, torch.utils.data.DataLoader):
        raise InputError(f"{name} is a {type(value).__name__}; one batch of it, next(iter(...)), is right")
    if isinstance(value, bool):
        raise InputError(f"{name} is {value}; flags such as train are set by the check: leave it out")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = "a list whose rows differ in length" if "inhomogeneous" in str(error) else f"a {type(value).__name__}"
        raise InputError(f"{name} is {kind}; {NUMBERS}") from error
    if array.dtype == object or array.dtype.kind in "USOMm":
        kind = type(value).__name__
        what = f"a {kind} of text" if array.dtype.kind in "US" else f"a {kind}"
        raise InputError(f"{name} is {'None' if value is None else what}; {NUMBERS}")
    if not array.size:
        raise InputError(f"{name} of shape {array.shape} is empty: there would be nothing to compare")
    return array


def _settled(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind in "iu":
        return x.astype(np.int64)
    if x.dtype.name == "bfloat16" or np.issubdtype(x.dtype, np.floating):
        x = x.astype(np.float32)
        if not np.all(np.isfinite(x)):
            raise InputError("inputs have values that are not finite")
    return x


def check_steps(steps: Any) -> None:
    """Raises InputError where there would be no step."""
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer):
        raise InputError(f"steps={steps!r} is no number of steps; 1 or more is right")
    if steps < 1:
        raise InputError(f"steps={steps} is too few; 1 or more is right")


def check_order(model: Any, torch_model: Any) -> None:
    """Raises InputError where the models are swapped, or PyTorch's is none."""
    if isinstance(model, torch.nn.Module):
        raise InputError("the first model is PyTorch's; Flax's comes first: parity.check(flax_model, torch_model, x)")
    if isinstance(torch_model, type):
        name = torch_model.__name__
        raise InputError(f"torch_model is the class {name}; a module of it, such as {name}(...), is right")
    if not isinstance(torch_model, torch.nn.Module):
        raise InputError(f"torch_model is a {type(torch_model).__name__}; a torch.nn.Module is right")


def given_as(model: torch.nn.Module, batch: Inputs) -> torch.nn.Module:
    """Returns the same module, with the same tensors, that hands its inputs on as the user's: by keywords, as sparse.

    A sparse one takes no gradient: where it holds nothing, PyTorch has none.
    """
    if not batch.names and not batch.sparse:
        return model
    stock = type(model)

    @functools.wraps(stock.forward)
    def forward(self: torch.nn.Module, *inputs: Any) -> Any:
        given = [x.detach().to_sparse(layout=batch.sparse[i]) if i in batch.sparse else x for i, x in enumerate(inputs)]
        named = dict(zip(batch.names, given, strict=True)) if batch.names else {}
        return stock.forward(self, *([] if named else given), **named)

    changed = copy.copy(model)
    give_own_class(changed, forward=forward)
    return changed


def failure_of(model: torch.nn.Module, inputs: Inputs, train: bool = False) -> Exception | None:
    """Returns what a copy of PyTorch's model raises on the inputs; None where it runs."""
    try:
        result_of(model, inputs, train)
    except Exception as error:  # of the user's own model, whatever it is
        return error
    return None


def result_of(model: torch.nn.Module, inputs: Inputs, train: bool = False) -> Any:
    """Returns what a copy of PyTorch's model makes of the inputs."""
    run = copy_of(model).cpu().train(train)
    dtype = next((p.dtype for p in run.parameters() if p.is_floating_point()), torch.float32)
    tensors = [x.to(dtype) if x.is_floating_point() else x for x in inputs.tensors()]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        return run(*tensors)


def in_torch_order(inputs: Inputs, model: torch.nn.Module) -> Inputs:
    """Returns the inputs with the order of axes on which PyTorch's model runs.

    Images have their channels last in Flax and first in PyTorch, sequences the same order in both; where PyTorch's
    model does not run on that, a sequence may be one that it convolves, or Flax's model may want its channels first.
    """
    free = [number for number, x in enumerate(inputs.arrays) if x.ndim > 2]
    if not free or failure_of(model, inputs) is None:
        return inputs
    for others in itertools.chain([free], ([number] for number in free if len(free) > 1)):
        axes = tuple(_other(at) if number in others else at for number, at in enumerate(inputs.axes))
        candidate = replace(inputs, axes=axes)
        if failure_of(model, candidate) is None:
            return candidate
    return inputs


def _other(axes: Axes) -> Axes:
    plain = tuple(range(len(axes)))
    return channels_first(len(axes)) if axes == plain else plain
