"""A generative adversarial network on points of the plane (book, section 20.1)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parity.reference.init import init_normal

Tensors = dict[str, Any]


def discriminator(num_inputs: int = 2) -> nn.Sequential:
    """Scores whether points are real: two hidden layers of 5 and 3 units (section 20.1)."""
    net = nn.Sequential(nn.Linear(num_inputs, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1))
    return init_normal(net)


def generator(num_latents: int = 2, num_outputs: int = 2) -> nn.Sequential:
    """Maps random numbers to points by one affine layer (section 20.1)."""
    return init_normal(nn.Sequential(nn.Linear(num_latents, num_outputs)))


def discriminator_loss(
    nets: nn.ModuleDict, tensors: Tensors, reduction: str = "sum", together: bool = False
) -> tuple[Tensor, Tensors]:
    """Returns half the cross-entropy of real examples "X" as ones and of those made from "Z" as zeros."""
    if together:
        real, fake = judged_together(nets["net_D"], tensors["X"], nets["net_G"](tensors["Z"]).detach())
    else:
        real = nets["net_D"](tensors["X"])
        fake = nets["net_D"](nets["net_G"](tensors["Z"]).detach())
    loss = (_cross_entropy(real, 1.0, reduction) + _cross_entropy(fake, 0.0, reduction)) / 2
    return loss, {"real": real, "fake": fake}


def generator_loss(
    nets: nn.ModuleDict, tensors: Tensors, reduction: str = "sum", together: bool = False
) -> tuple[Tensor, Tensors]:
    """Returns the cross-entropy of what is made from "Z" as ones."""
    fake_X = nets["net_G"](tensors["Z"])
    fake = judged_together(nets["net_D"], tensors["X"], fake_X)[1] if together else nets["net_D"](fake_X)
    return _cross_entropy(fake, 1.0, reduction), {"fake_X": fake_X, "fake": fake}


def judged_together(net_D: nn.Module, X: Tensor, fake_X: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the scores of real and of generated examples of one shape, (real, fake), in one batch."""
    real, fake = net_D(torch.cat([X, fake_X])).split([len(X), len(fake_X)])
    return real, fake


def generated(nets: nn.ModuleDict, tensors: Tensors) -> Tensors:
    """Returns what the generator makes from "Z", and the discriminator's score of the real examples "X".

    Where the nets are conditional, both take the labels "y", too.
    """
    labels = given(tensors, "y")
    return {"fake_X": nets["net_G"](tensors["Z"], *labels), "real": nets["net_D"](tensors["X"], *labels)}


def given(tensors: Tensors, name: str) -> tuple[Tensor, ...]:
    """Returns the tensor as further arguments of a net: none where there is no such tensor."""
    return (tensors[name],) if name in tensors else ()


def _cross_entropy(logits: Tensor, label: float, reduction: str) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label), reduction=reduction)
