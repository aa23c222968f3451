"""The operators of chapter 7 that no model calls, as an evaluation of a Case."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from d2l_jax.models import corr2d_multi_in_out, pool2d
from d2l_jax.turns import Tensors


@dataclass(frozen=True)
class Operated:
    """An evaluation: the operators, on the image of "input"."""

    def __call__(self, nets: Any, tensors: Tensors) -> Tensors:
        """Returns both poolings, and the cross-correlation of three channels with two kernels."""
        image = tensors["input"]
        channels = jnp.stack([image, image**2, 1 - image])
        kernels = jnp.stack([jnp.stack([image[i : i + 2, j : j + 3] for j in range(3)]) for i in range(2)])
        pooled = {mode: pool2d(image, (2, 3), mode) for mode in ("max", "avg")}
        return pooled | {"channels": corr2d_multi_in_out(channels, kernels)}
