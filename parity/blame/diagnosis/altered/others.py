"""Embedding, flattening, resizing and dropout under other conventions."""

import itertools
import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis.altered.change import Altered, changed, followed, forwarding, reweighted, through
from parity.blame.diagnosis.factors import DROPOUT_RATES

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


def embedding(module: nn.Module) -> Iterator[Altered]:
    """The embedding scaled, or its padding index like any other."""
    if not isinstance(module, nn.Embedding):
        return
    root = math.sqrt(module.embedding_dim)
    text = f"Flax multiplies the embedding by the root of its size, {root:.4g}"
    yield "embedding-scale", text, followed(module, lambda y: y * root)
    if module.padding_idx is not None:
        index = module.padding_idx
        text = f"Flax sends gradients to row {index}, PyTorch's padding_idx, which learns nothing"
        yield "padding-idx", text, changed(module, padding_idx=None)
        text = f"Flax gives zeros for index {index}, PyTorch the row that is stored there"
        yield "padding-zeros", text, forwarding(module, _zeroed)
    else:
        text = "Flax gives zeros for index 0"
        yield "padding-zeros", text, forwarding(module, _zeroed)
    for by in (1, -1):
        yield (
            "index-shifted",
            f"Flax looks up index {by:+d}",
            through(module, lambda x, by=by: (x + by).clamp(0, module.num_embeddings - 1)),
        )
    if module.num_embeddings == module.embedding_dim:
        yield "transposed", "Flax looks up columns, not rows", reweighted(module, weight=torch.t)
    if module.max_norm is not None:
        yield "max-norm", "Flax does not limit the rows' norm", changed(module, max_norm=None)


def _zeroed(m: nn.Embedding, x: torch.Tensor) -> torch.Tensor:
    return F.embedding(x, m.weight) * (x != (m.padding_idx or 0))[..., None]


def flatten(module: nn.Module) -> Iterator[Altered]:
    """Features flattened as (H, W, C), not (C, H, W), and in other orders."""
    if not isinstance(module, nn.Flatten):
        return
    text = "Flax flattens (H, W, C), PyTorch (C, H, W)"
    yield "flatten-order", text, through(module, lambda x: x.movedim(1, -1))
    for order in itertools.permutations((1, 2, 3)):
        if order not in ((1, 2, 3), (2, 3, 1)):
            text = f"Flax flattens PyTorch's axes in the order {order}"
            yield "flatten-order", text, through(module, lambda x, order=order: x.permute(0, *order))
    yield "flatten-start", "Flax flattens the batch too", changed(module, start_dim=0)


def resize(module: nn.Module) -> Iterator[Altered]:
    """Resizing of another mode, or with the corners aligned."""
    if not isinstance(module, nn.Upsample):
        return
    for mode in ("bilinear", "bicubic", "nearest", "nearest-exact", "linear", "trilinear", "area"):
        for corners in (None, False, True):
            smooth = mode in ("bilinear", "bicubic", "linear", "trilinear")
            if smooth == (corners is None) or (mode, bool(corners)) == (module.mode, bool(module.align_corners)):
                continue
            if mode == module.mode:
                text = f"Flax {'aligns' if corners else 'does not align'} the corners (align_corners)"
                yield "align-corners", text, changed(module, align_corners=corners)
            else:
                text = f"Flax's mode is {mode}, PyTorch's {module.mode}" + (", corners aligned" if corners else "")
                yield "resize-mode", text, changed(module, mode=mode, align_corners=corners)
    if module.mode in ("bilinear", "bicubic"):
        yield (
            "antialias",
            "Flax smooths before shrinking (antialias)",
            forwarding(
                module,
                lambda m, x: F.interpolate(
                    x, m.size, m.scale_factor, mode=m.mode, align_corners=m.align_corners, antialias=True
                ),
            ),
        )


def shuffle(module: nn.Module) -> Iterator[Altered]:
    """The channels of a pixel shuffle in another order."""
    if isinstance(module, nn.PixelShuffle):
        r = module.upscale_factor
        text = "Flax reads the channels as (r, r, C), PyTorch as (C, r, r)"
        yield (
            "channel-order",
            text,
            through(module, lambda x: x.unflatten(1, (r * r, -1)).transpose(1, 2).flatten(1, 2)),
        )


def dropout(module: nn.Module) -> Iterator[Altered]:
    """Dropout inside a larger module: absent, or of another rate, as where what is kept is taken for it."""
    if isinstance(module, DROPOUTS):
        p = module.p
        for rate in dict.fromkeys((round(1 - p, 12), *DROPOUT_RATES)) if module.training and 0 < p < 1 else ():
            if rate != p:
                text = f"Flax's rate of dropout is {rate:g}, PyTorch's {p:g}"
                text += ", the share that Flax keeps" if rate == round(1 - p, 12) else ""
                yield "dropout-rate", text, changed(module, p=rate)
        yield "dropout-off", "Flax does not drop anything", forwarding(module, lambda m, x: x * 1)


def absent(module: nn.Module) -> Iterator[Altered]:
    """The layer left out."""
    if not isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
        yield (
            "layer-missing",
            "Flax gives the input back: the layer is left out",
            forwarding(module, lambda m, x: x * 1),
        )
        text = "Flax adds the input to the layer's output"
        yield "residual-added", text, forwarding(module, lambda m, x: x + type(m).forward(m, x))


ALTERATIONS = [embedding, flatten, resize, shuffle, dropout, absent]
