"""Pictures for the tests of augmentation, and torchvision's functions on batches with channels last."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

GREYS = np.repeat(np.arange(0, 256, 5, np.uint8)[:, None], 3, 1)
CORNERS = np.array([[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)], np.uint8)


def pictures(count: int, height: int, width: int, dtype: str = "uint8", channels: int = 3) -> np.ndarray:
    """Random pictures, of which the first pixels are grey or a corner of the cube of colours."""
    X = np.random.default_rng(0).integers(0, 256, (count, height, width, channels), np.uint8)
    if channels == 3:
        known = np.concatenate([GREYS, CORNERS])[: height * width]
        X.reshape(count, -1, 3)[:, : len(known)] = known
    return X if dtype == "uint8" else (X / 255).astype(dtype)


def torch_picture(X: np.ndarray) -> torch.Tensor:
    """A picture with channels first."""
    return torch.from_numpy(np.ascontiguousarray(X.transpose(2, 0, 1)))


def by_torch(change: Callable[..., torch.Tensor], X: np.ndarray, *draws: Any) -> np.ndarray:
    """Every picture changed by torchvision with draws of its own."""
    changed = [change(torch_picture(x), *each) for x, *each in zip(X, *draws, strict=True)]
    return torch.stack(changed).permute(0, 2, 3, 1).numpy()


def same_pixels(ours: Any, theirs: np.ndarray, within: float = 0.0) -> None:
    """Asserts the same type and values; floating-point numbers may differ by `within`."""
    ours = np.asarray(ours)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    gap = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max(initial=0)
    assert gap <= within, f"{gap} is above {within}; {(ours != theirs).mean():.2g} of the numbers differ"
