"""PyTorch in the precision of a run: what a model makes by itself, and plain tensors that it keeps, follow it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from parity.models.asked_gradients import asked_for_gradients

MODULE = frozenset(vars(torch.nn.Module()))  # the attributes that PyTorch itself keeps
MAKERS = (torch.tensor, torch.as_tensor, torch.asarray, torch.from_numpy)  # take the dtype of what they are given
WIDE = {torch.float32: torch.float64, torch.complex64: torch.complex128}


@contextmanager
def torch_precision(dtype: str) -> Iterator[None]:
    """Makes new tensors of that dtype within the block, as those of a user in whose program it is the default.

    In float64 a float32 that is written out (`x.float()`, `dtype=torch.float32`) means float64, and so with `cfloat`.
    A model may ask for gradients of its input, which has some here.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with asked_for_gradients():
            if dtype == "float64":
                with Float32AsFloat64(), _float_tensors_of_64_bits():
                    yield
            else:
                yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _float_tensors_of_64_bits() -> Iterator[None]:
    """Lets `torch.FloatTensor([0.5])` be of float64 within the block; as a type, no mode hears of its calls."""
    before = torch.FloatTensor
    torch.FloatTensor = torch.DoubleTensor
    try:
        yield
    finally:
        torch.FloatTensor = before


class Float32AsFloat64(TorchFunctionMode):
    """Reads float32 as float64 in every call of PyTorch's; epsilons that a dtype implies stay those of float32."""

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: dict | None = None) -> Any:
        if func is torch.Tensor.float:
            return torch.Tensor.double(*args, **(kwargs or {}))
        if func is torch.Tensor.type and len(args) > 1 and args[1] in (torch.FloatTensor, "torch.FloatTensor"):
            return torch.Tensor.double(args[0])
        if getattr(func, "__name__", "") == "hardsigmoid":  # whose gradient has 1/6 in float32
            return F.relu6(args[0] + 3) / 6
        args = tuple(map(_read, args))
        kwargs = {name: _read(value) for name, value in (kwargs or {}).items()}
        if func is torch.rms_norm and len(args) + len(kwargs) < 4 or kwargs.get("eps", 0) is None:
            kwargs["eps"] = torch.finfo(torch.float32).eps
        result = func(*args, **kwargs)
        return result.to(WIDE[result.dtype]) if func in MAKERS and result.dtype in WIDE else result


def _read(value: Any) -> Any:
    return WIDE[value] if isinstance(value, torch.dtype) and value in WIDE else value


def with_attributes(model: torch.nn.Module) -> torch.nn.Module:
    """Registers, in place, the tensors that modules keep as plain attributes, so that they move with the model.

    A tensor that requires a gradient becomes a parameter of the attribute's name, or of a list's, "name_0"; another
    one a buffer that is not saved. Floating-point tensors within containers are left to `in_precision`.
    """
    parameters: dict[int, torch.nn.Parameter] = {}

    def parameter(tensor: torch.Tensor) -> torch.nn.Parameter:
        return parameters.setdefault(id(tensor), torch.nn.Parameter(tensor.detach()))

    for module in model.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, torch.Tensor) and not hasattr(type(module), name):
                del module.__dict__[name]
                if value.requires_grad and value.is_leaf:
                    module.register_parameter(name, parameter(value))
                else:
                    module.register_buffer(name, value.detach(), persistent=False)
            elif isinstance(value, list) and any(_trained(x) for x in value):
                module.__dict__[name] = [parameter(x) if _trained(x) else x for x in value]
                for number, x in enumerate(module.__dict__[name]):
                    if isinstance(x, torch.nn.Parameter):
                        module.register_parameter(f"{name}_{number}", x)
    return model


def has_attributes(model: torch.nn.Module) -> bool:
    """Tells whether some module keeps a tensor as a plain attribute, or trained ones in a list."""
    values = [value for module in model.modules() for name, value in vars(module).items() if name not in MODULE]
    return any(isinstance(v, torch.Tensor) or isinstance(v, list) and any(map(_trained, v)) for v in values)


def in_precision(model: torch.nn.Module, dtype: torch.dtype, device: str = "cpu") -> torch.nn.Module:
    """Moves, in place, every tensor of a model, those that modules keep in lists, tuples and dicts, too.

    Complex ones become complex of this precision: PyTorch's `model.to(dtype)` would take their imaginary part away.
    """
    kinds = {True: dtype.to_complex(), False: dtype}

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        computed = tensor.is_floating_point() or tensor.is_complex()
        return tensor.to(device, kinds[tensor.is_complex()] if computed else None)

    def move(value: Any) -> Any:
        return moved(value) if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter) else value

    model._apply(moved)  # as `model.to` does
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, list | tuple | dict) and name not in MODULE:
                module.__dict__[name] = tree_map(move, value)
    return model


def _trained(value: Any) -> bool:
    plain = isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter)
    return plain and value.requires_grad and value.is_leaf
