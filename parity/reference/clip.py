"""Clipping of gradients (book, section 9.5)."""

import torch
from torch import nn


@torch.no_grad()
def clip_gradients(model: nn.Module, theta: float) -> None:
    """Multiplies all gradients by theta / norm where their Euclidean norm, as one vector, exceeds theta."""
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.sqrt(torch.stack([(g**2).sum() for g in grads]).sum())
    if norm > theta:
        for g in grads:
            g *= theta / norm
