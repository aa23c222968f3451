"""Clipping of gradients (book, section 9.5)."""

from collections.abc import Iterable

import torch
from torch import nn


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], theta: float) -> None:
    """Multiplies all gradients by theta / norm where their Euclidean norm, as one vector, exceeds theta."""
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.sqrt(torch.stack([(g**2).sum() for g in grads]).sum())
    if norm > theta:
        for g in grads:
            g *= theta / norm
