"""One layer of PyTorch's on its own."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map

from parity.arrays.key import Record, input_names
from parity.arrays.layout import named_leaves
from parity.arrays.torch_arrays import products, to_numpy
from parity.layers.layer import Layer
from parity.layers.ports import Ports
from parity.models.packed import first_packed, packed_again, padded
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.sides.disturb_operations import rounding_otherwise
from parity.sides.torch import TorchRun
from parity.twin.twin import Twin


def run_torch_layer(twin: Twin, run: TorchRun, layer: Layer, ports: Ports, train: bool, disturb: Callable) -> Record:
    with rounding_otherwise(disturb):
        return _record(twin, run, layer, ports, train, disturb)


def _record(twin: Twin, run: TorchRun, layer: Layer, ports: Ports, train: bool, disturb: Callable) -> Record:
    run.disturb = disturb
    call = layer.theirs
    prefix = f"{layer.theirs.name}."
    run.load(twin.start, prefix)
    run.model.train(train)  # the whole model, which may keep a part in one mode
    module = run.model.get_submodule(call.name)
    for part, mode in zip(module.modules(), call.modes, strict=False):
        part.training = mode  # which the code around it may set at each call
    leaves = [_leaf(x, disturb, run.dtype, i in ports.varied) for i, x in enumerate(ports.tensors)]
    args, kwargs = tree_map(partial(_replaced, ports.tensors, leaves), (call.args, call.kwargs))
    sequence = first_packed((args, kwargs))
    args, kwargs = packed_again((args, kwargs))
    numbers = twin.torch_numbers(twin.batches[0], train)[slice(*call.span)]
    precision = torch_precision(run.dtype)
    with precision, ImposedOnTorch(numbers), torch.set_grad_enabled(train), run.rounded_otherwise(module):
        output = dict(named_leaves(padded(module(*args, **kwargs), sequence), "output"))
    record = layer.record("forward", {name: to_numpy(output[name]) for name, *_ in ports.outputs})
    buffers = {prefix + name: to_numpy(b) for name, b in module.named_buffers(remove_duplicate=False)}
    record |= layer.record("buffers", run.compared(buffers))
    names = [name for name, *_ in ports.outputs if name in call.cotangents and output[name].requires_grad]
    if train and names:
        record |= _torch_gradients(run, module, leaves, output, names, layer)
    run.disturb = np.asarray
    return record


def _leaf(tensor: torch.Tensor, disturb: Callable, dtype: str, varied: bool) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    return torch.as_tensor(disturb(to_numpy(tensor).astype(dtype)), device=tensor.device).requires_grad_(varied)


def _replaced(tensors: tuple[torch.Tensor, ...], leaves: list[torch.Tensor], value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    same = (
        new for old, new in zip(tensors, leaves, strict=True) if old.shape == value.shape and torch.equal(old, value)
    )
    found = next(same)
    return found * 1 if found.requires_grad else found


def _torch_gradients(
    run: TorchRun, module: torch.nn.Module, leaves: list, output: dict, names: list[str], layer: Layer
) -> Record:
    inputs = [x for x in leaves if x.requires_grad]
    parameters = {
        f"{layer.theirs.name}.{name}": p
        for name, p in module.named_parameters(remove_duplicate=False)
        if p.requires_grad
    }
    wanted = [*inputs, *parameters.values()]
    outputs = [output[name] for name in names]
    cotangents = [layer.theirs.cotangents[name].to(output[name].dtype) for name in names]
    grads = torch.autograd.grad(products(outputs, cotangents), wanted, allow_unused=True)
    arrays = [to_numpy(torch.zeros_like(x) if g is None else g) for x, g in zip(wanted, grads, strict=True)]
    record = layer.record("backward", dict(zip(input_names(len(inputs)), arrays, strict=False)))
    merged = run.compared(dict(zip(parameters, arrays[len(inputs) :], strict=True)), mean=True)
    return record | layer.record("backward", merged)
