"""The operators of chapter 7 that no model calls, as an evaluation of a Case."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from d2l_jax import nn
from d2l_jax.models import corr2d_multi_in_out, pool2d
from d2l_jax.turns import Tensors

POOLING = {
    "overlapping": nn.MaxPool2d(3, padding=1, stride=2),
    "unequal_strides": nn.MaxPool2d((2, 3), stride=(1, 2), padding=(0, 1)),
    "adaptive": nn.AdaptiveAvgPool2d((2, 3)),
}


@dataclass(frozen=True)
class Operated:
    """An evaluation: the operators, on the image of "input"."""

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns poolings as functions and as layers, and the cross-correlation of three channels with two kernels."""
        image = tensors["input"]
        channels = jnp.stack([image, image**2, 1 - image])
        kernels = jnp.stack([jnp.stack([image[i : i + 2, j : j + 3] for j in range(3)]) for i in range(2)])
        pooled = {mode: pool2d(image, (2, 3), mode) for mode in ("max", "avg")}
        pooled |= {name: layer(image[None, :, :, None])[0, :, :, 0] for name, layer in POOLING.items()}
        return pooled | {"channels": corr2d_multi_in_out(channels, kernels)}
