"""The output of a layer of PyTorch's, as Flax's would give it: a mistake does not reach the layers behind."""

import math
from typing import Any

import jax
import numpy as np
import torch
from flax import linen, nnx

from d2l_jax import nn
from parity.match.arrangement import Arrangement
from parity.match.flax_layers import ATTENTION, CELLS, RECURRENT, FlaxLayer
from parity.match.torch_layers import NumpyCall, TorchLayer, arrays_of

DENSE = (nnx.LinearGeneral, linen.DenseGeneral)
CONVOLUTIONS = (nnx.Conv, nnx.ConvTranspose, linen.Conv, linen.ConvTranspose)
STOCK = (
    *(nnx.Linear, nnx.Conv, nnx.ConvTranspose, nnx.Embed, nnx.BatchNorm, nnx.LayerNorm, nnx.GroupNorm),
    *(nnx.RMSNorm, nnx.InstanceNorm, nnx.PReLU, linen.Dense, linen.Conv, linen.ConvTranspose, linen.Embed),
    *(linen.BatchNorm, linen.LayerNorm, linen.GroupNorm, linen.RMSNorm, linen.InstanceNorm, linen.PReLU),
    *(*DENSE, nn.BatchNorm),
)
CHANNELS_FIRST = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm", "PReLU")


def main_input(flax: FlaxLayer, args: tuple, kwargs: dict) -> np.ndarray | None:
    """The array by which the layer's partner is found; a dense layer's input axes are joined."""
    arrays = arrays_of([args[1:] if issubclass(flax.kind, CELLS) else args, kwargs])
    if not arrays:
        return None
    x = arrays[0]
    if issubclass(flax.kind, DENSE):
        axes = flax.module.axis
        axes = sorted(axis % x.ndim for axis in ((axes,) if isinstance(axes, int) else axes))
        if axes == list(range(x.ndim - len(axes), x.ndim)):
            return x.reshape(*x.shape[: axes[0]], -1)
    return x


def known(layer: TorchLayer, flax: FlaxLayer) -> bool:
    """Tells if the output's arrangement follows from the kinds of the two layers."""
    stock = type(layer.module).__module__.startswith("torch.nn.")
    stock = stock and not isinstance(layer.module, torch.nn.EmbeddingBag)  # Flax's bags are summed outside of a layer
    return stock and issubclass(flax.kind, (*STOCK, *RECURRENT, *CELLS, *ATTENTION))


def handed(
    layer: TorchLayer, call: NumpyCall, inputs: Arrangement | None, flax: FlaxLayer, x: np.ndarray, kwargs: dict
) -> Any:
    """PyTorch's output in Flax's arrangement."""
    if issubclass(flax.kind, RECURRENT):
        return _sequence(layer, call, inputs, flax, kwargs)
    outputs: Any = arrays_of(call.output)
    if issubclass(flax.kind, CELLS):
        states = [state[0] for state in outputs[1:]] if isinstance(layer.module, torch.nn.RNNBase) else outputs
        carry: Any = tuple(map(jax.device_put, reversed(states)))  # of a whole layer that takes one step, too
        return (carry if len(carry) > 1 else carry[0]), jax.device_put(states[0])
    y = _arranged(outputs[0], layer, inputs, x.shape)
    if issubclass(flax.kind, DENSE):
        features = getattr(flax.module, "out_features" if isinstance(flax.module, nnx.Module) else "features")
        features = (features,) if isinstance(features, int) else tuple(features)
        if math.prod(features) == y.shape[-1]:
            y = y.reshape(*y.shape[:-1], *features)
    return jax.device_put(y)


def _arranged(y: np.ndarray, layer: TorchLayer, inputs: Arrangement | None, shape: tuple[int, ...]) -> np.ndarray:
    first = isinstance(layer.module, torch.nn.Module) and any(
        name in type(layer.module).__name__ for name in CHANNELS_FIRST
    )
    if first and y.ndim > 2:
        y = np.moveaxis(y, 1, -1)
        if y.ndim > len(shape) and math.prod(shape[:-1]) * y.shape[-1] == y.size:  # a window of one place, on vectors
            return y.reshape(*shape[:-1], y.shape[-1])
        rows = shape[: len(shape) - y.ndim + 1]
        if inputs and inputs.joined and math.prod(rows) == len(y):
            return y.reshape(*rows, *y.shape[1:])
    elif inputs and y.ndim in (len(inputs.axes), len(inputs.axes) + 1):
        y = y.transpose(*inputs.axes, *range(len(inputs.axes), y.ndim))
    lead = shape if layer.module.__class__.__name__.startswith("Embedding") else shape[:-1]
    if inputs and inputs.joined and math.prod(lead) * y.shape[-1] == y.size:
        y = y.reshape(*lead, y.shape[-1])
    return y


def _sequence(layer: TorchLayer, call: NumpyCall, inputs: Arrangement | None, flax: FlaxLayer, kwargs: dict) -> Any:
    y, *states = arrays_of(call.output)
    axes = (1, 0, 2) if _option(flax, kwargs, "time_major") else None
    if inputs and len(inputs.axes) == 3:
        axes = inputs.axes
    y = y.transpose(axes) if axes else y
    if _option(flax, kwargs, "reverse") and not _option(flax, kwargs, "keep_order"):
        y = np.flip(y, axes.index(1) if axes else 1)
    if not _option(flax, kwargs, "return_carry"):
        return jax.device_put(y)
    carry: Any = tuple(jax.device_put(state[0]) for state in reversed(states))
    return (carry if len(carry) > 1 else carry[0]), jax.device_put(y)


def _option(flax: FlaxLayer, kwargs: dict, name: str) -> bool:
    option = kwargs.get(name)
    return bool(getattr(flax.module, name) if option is None else option)


def backward(flax: FlaxLayer, kwargs: dict) -> bool:
    """Tells if a recurrent layer reads its sequence from the end."""
    return issubclass(flax.kind, RECURRENT) and _option(flax, kwargs, "reverse")


def corrected(output: Any, outputs: list[np.ndarray], inputs: Arrangement | None) -> Any:
    """PyTorch's output where its shape leaves no doubt, for a layer with a mistake in it."""
    flax_outputs = arrays_of(output)
    if len(flax_outputs) != 1 or not hasattr(output, "shape") or not outputs:
        return output
    axes = inputs.axes if inputs else ()
    orders = [axes] if len(axes) == outputs[0].ndim else []
    for order in [*orders, tuple(range(outputs[0].ndim))]:
        if outputs[0].transpose(order).shape == flax_outputs[0].shape:
            return jax.device_put(outputs[0].transpose(order))
    return output
