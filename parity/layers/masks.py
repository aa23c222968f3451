"""Masks of attention: PyTorch's say of keys what is masked, Flax's of queries and keys what is seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from flax import linen, nnx
from jaxtyping import Shaped

Array = Shaped[np.ndarray, "..."]
Shape = tuple[int, ...]
ATTENTION = (nnx.MultiHeadAttention, linen.MultiHeadDotProductAttention)
LOW = -1e4  # of a score to which as much is added, nothing is left
NAMES = ("key_padding_mask", "attn_mask")


@dataclass(frozen=True)
class Mask:
    """A mask that both attentions are given.

    place:  the number of Flax's array among its arguments
    source: the number of PyTorch's tensor
    turned: makes Flax's of it
    """

    place: int
    source: int
    turned: Callable[[Array], Array]


def mask_of(
    module: torch.nn.Module,
    flax_module: object,
    tensors: Sequence[tuple[str, torch.Tensor]],
    shapes: Sequence[tuple[str, Shape]],
) -> Mask | None:
    """Returns the mask of two attentions, where either has one.

    tensors: PyTorch's arguments by name; shapes: of Flax's
    """
    if not isinstance(module, torch.nn.MultiheadAttention) or not isinstance(flax_module, ATTENTION):
        return None
    sources = [number for number, (name, _) in enumerate(tensors) if name in NAMES]
    places = [number for number, (name, _) in enumerate(shapes) if name == "mask"]
    if len(sources) != 1 or len(places) != 1:
        return None
    name, tensor = tensors[sources[0]]
    shape = shapes[places[0]][1]
    turned = partial(_turned, of_keys=name == NAMES[0], shape=shape)
    try:
        turned(tensor.detach().cpu().numpy())
    except ValueError:  # heads or batches of another number, or a bias
        return None
    return Mask(places[0], sources[0], turned)


def _turned(mask: Array, of_keys: bool, shape: Shape) -> Array:
    """Returns, in Flax's shape, (batch, heads, queries, keys) or such with axes of size 1, what is seen.

    Raises ValueError where the shape does not fit, or what is added is more than a mask.
    """
    if mask.dtype != bool and np.any((mask != 0) & (mask > LOW)):
        raise ValueError("a bias, not a mask")
    seen = ~mask if mask.dtype == bool else mask >= 0
    if of_keys:
        seen = seen[..., None, None, :]
    elif seen.ndim == 3:
        seen = seen.reshape(shape[0], -1, *seen.shape[1:])
    return np.broadcast_to(seen, shape).copy()
