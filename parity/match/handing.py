"""What a layer of PyTorch's gave, as Flax's layer would give it: its own mistakes do not reach the layers behind it."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from flax import linen, nnx

from d2l_jax import nn
from parity.match.arrangement import Arrangement
from parity.match.flax_layers import ATTENTION, CELLS, RECURRENT, FlaxLayer
from parity.match.torch_layers import Layer, Seen, arrays_of

DENSE = (nnx.LinearGeneral, linen.DenseGeneral)
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


def known(layer: Layer, flax: FlaxLayer) -> bool:
    """Whether the output's arrangement follows from the kinds of the two layers."""
    stock = type(layer.module).__module__.startswith("torch.nn.")
    return stock and issubclass(flax.kind, (*STOCK, *RECURRENT, *CELLS, *ATTENTION))


def handed(layer: Layer, call: Seen, found: Arrangement | None, flax: FlaxLayer, x: np.ndarray, kwargs: dict) -> Any:
    """PyTorch's output in Flax's arrangement."""
    if issubclass(flax.kind, RECURRENT):
        return _sequence(layer, call, found, flax, kwargs)
    outputs: Any = arrays_of(call.output)
    if issubclass(flax.kind, CELLS):
        carry: Any = tuple(map(jnp.asarray, reversed(outputs)))
        return (carry if len(carry) > 1 else carry[0]), jnp.asarray(outputs[0])
    y = _arranged(outputs[0], layer, found, x.shape)
    if issubclass(flax.kind, DENSE):
        features = getattr(flax.module, "out_features" if isinstance(flax.module, nnx.Module) else "features")
        features = (features,) if isinstance(features, int) else tuple(features)
        if math.prod(features) == y.shape[-1]:
            y = y.reshape(*y.shape[:-1], *features)
    return jnp.asarray(y)


def _arranged(y: np.ndarray, layer: Layer, found: Arrangement | None, shape: tuple[int, ...]) -> np.ndarray:
    first = isinstance(layer.module, torch.nn.Module) and any(
        name in type(layer.module).__name__ for name in CHANNELS_FIRST
    )
    if first and y.ndim > 2:
        y = np.moveaxis(y, 1, -1)
    elif found and y.ndim in (len(found.axes), len(found.axes) + 1):
        y = y.transpose(*found.axes, *range(len(found.axes), y.ndim))
    lead = shape if layer.module.__class__.__name__.startswith("Embedding") else shape[:-1]
    if found and found.joined and math.prod(lead) * y.shape[-1] == y.size:
        y = y.reshape(*lead, y.shape[-1])
    return y


def _sequence(layer: Layer, call: Seen, found: Arrangement | None, flax: FlaxLayer, kwargs: dict) -> Any:
    y, *states = arrays_of(call.output)
    axes = found.axes if found and len(found.axes) == 3 else (1, 0, 2) if _option(flax, kwargs, "time_major") else None
    y = y.transpose(axes) if axes else y
    if _option(flax, kwargs, "reverse") and not _option(flax, kwargs, "keep_order"):
        y = np.flip(y, axes.index(1) if axes else 1)
    if not _option(flax, kwargs, "return_carry"):
        return jnp.asarray(y)
    carry: Any = tuple(jnp.asarray(state[0]) for state in reversed(states))
    return (carry if len(carry) > 1 else carry[0]), jnp.asarray(y)


def _option(flax: FlaxLayer, kwargs: dict, name: str) -> bool:
    given = kwargs.get(name)
    return bool(getattr(flax.module, name) if given is None else given)


def backward(flax: FlaxLayer, kwargs: dict) -> bool:
    """Whether a recurrent layer reads its sequence from the end."""
    return issubclass(flax.kind, RECURRENT) and _option(flax, kwargs, "reverse")


def corrected(output: Any, wanted: list[np.ndarray], found: Arrangement | None) -> Any:
    """PyTorch's output where its shape leaves no doubt, for a layer with a mistake in it."""
    got = arrays_of(output)
    if len(got) != 1 or not hasattr(output, "shape") or not wanted:
        return output
    axes = found.axes if found else ()
    orders = [axes] if len(axes) == wanted[0].ndim else []
    for order in [*orders, tuple(range(wanted[0].ndim))]:
        if wanted[0].transpose(order).shape == got[0].shape:
            return jnp.asarray(wanted[0].transpose(order))
    return output
