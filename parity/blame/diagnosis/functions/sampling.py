"""Spatial transformers: grids and samples between the outer pixels' centres or edges, and what lies beyond them."""

from collections.abc import Iterator
from typing import Any

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

BEYOND = ("zeros", "border", "reflection")


def grids(call: FunctionCall) -> Iterator[Alternative]:
    """Yields `affine_grid` between the other ends."""
    corners = bool(call.option(2, "align_corners", False))
    theta, size = call.option(0, "theta"), call.option(1, "size")
    text = f"Flax's grid is that of align_corners={not corners}, PyTorch's affine_grid has {corners}"
    yield Alternative("align-corners", text, lambda: call.function(theta, size, align_corners=not corners))


def samples(call: FunctionCall) -> Iterator[Alternative]:
    """Yields `grid_sample` of other ends, another border, the nearest pixel, or a grid of (y, x)."""
    image, grid = call.option(0, "input"), call.option(1, "grid")
    mode, beyond = call.option(2, "mode", "bilinear"), call.option(3, "padding_mode", "zeros")
    corners = bool(call.option(4, "align_corners", False))
    options = {"mode": mode, "padding_mode": beyond, "align_corners": corners}

    def again(grid: torch.Tensor, **changed: Any) -> torch.Tensor:
        return call.function(image, grid, **options | changed)

    text = f"Flax samples as align_corners={not corners} does, PyTorch's grid_sample has {corners}"
    yield Alternative("align-corners", text, lambda: again(grid, align_corners=not corners))
    for other in BEYOND:
        if other != beyond:
            text = f"Flax samples beyond the image as padding_mode={other!r} does, PyTorch's is {beyond!r}"
            yield Alternative("padding-mode", text, lambda other=other: again(grid, padding_mode=other))
    for other in ("bilinear", "nearest"):
        if other != mode:
            text = f"Flax's samples are {other}, PyTorch's {mode}"
            yield Alternative("resize-mode", text, lambda other=other: again(grid, mode=other))
    text = "Flax takes a grid of (y, x), PyTorch's grid_sample one of (x, y)"
    yield Alternative("coordinates-exchanged", text, lambda: again(grid.flip(-1)))
