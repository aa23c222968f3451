"""Anchor boxes in PyTorch; see `d2l_jax.algorithms.anchors` (book, section 14.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def multibox_prior(
    data: Float[Tensor, "batch channels height width"], sizes: Sequence[float], ratios: Sequence[float]
) -> Float[Tensor, "1 anchors 4"]:
    """Returns the anchors of a feature map as parts of its width and height, pixel after pixel (section 14.4)."""
    rows, columns = data.shape[-2:]
    options = {"dtype": data.dtype, "device": data.device}
    widths = []
    heights = []
    for number in range(len(sizes) + len(ratios) - 1):
        size = torch.tensor(sizes[number] if number < len(sizes) else sizes[0], **options)
        ratio = torch.tensor(ratios[0] if number < len(sizes) else ratios[number - len(sizes) + 1], **options).sqrt()
        widths.append(size * ratio * rows / columns)
        heights.append(size / ratio)
    half = torch.stack([torch.stack(widths), torch.stack(heights)], dim=1) / 2
    x = (torch.arange(columns, **options) + 0.5) / columns
    y = (torch.arange(rows, **options) + 0.5) / rows
    centers = torch.cartesian_prod(y, x).flip(-1)[:, None]
    return torch.cat([centers - half, centers + half], dim=-1).reshape(1, -1, 4)


@dataclass(frozen=True)
class Anchors:
    """An evaluation: the anchors of the feature maps "data"."""

    sizes: tuple[float, ...] = (0.75, 0.5, 0.25)
    ratios: tuple[float, ...] = (1, 2, 0.5)

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns {"anchors": (1, anchors, 4)}."""
        return {"anchors": multibox_prior(tensors["data"], self.sizes, self.ratios)}
