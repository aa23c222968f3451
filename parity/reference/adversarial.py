"""The two objectives of adversarial networks with any loss, and with penalties on the slopes of the discriminator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.gan import given

Tensors = dict[str, Any]
Examples = Float[Tensor, "batch *size"]
OfTwoScores = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Discriminate:
    """The discriminator's objective: a loss of the scores of real examples "X" and of those made from "Z"."""

    loss: OfTwoScores
    r1: float = 0.0
    r2: float = 0.0
    slope: float = 0.0

    def __call__(self, nets: nn.ModuleDict, tensors: Tensors) -> tuple[Tensor, Tensors]:
        """Returns (loss + penalties, the scores and the penalties)."""
        net_D, labels, X = nets["net_D"], given(tensors, "y"), tensors["X"]
        fake_X = nets["net_G"](tensors["Z"], *labels).detach()
        real, at_real = (scores_and_slopes if self.r1 else _scores)(net_D, X, *labels)
        fake, at_fake = (scores_and_slopes if self.r2 else _scores)(net_D, fake_X, *labels)
        loss = self.loss(real, fake)
        more = {"real": real, "fake": fake}
        if self.r1:
            more["r1"] = squared_lengths(at_real).mean()
            loss = loss + self.r1 / 2 * more["r1"]
        if self.r2:
            more["r2"] = squared_lengths(at_fake).mean()
            loss = loss + self.r2 / 2 * more["r2"]
        if self.slope:
            mix = tensors["mix"].reshape(-1, *[1] * (X.ndim - 1))
            _, between = scores_and_slopes(net_D, mix * X + (1 - mix) * fake_X, *labels)
            more["slope"] = (squared_lengths(between).sqrt() - 1).square().mean()
            loss = loss + self.slope * more["slope"]
        return loss, more


@dataclass(frozen=True)
class Generate:
    """The generator's objective: a loss of the scores of real examples and of those that it makes."""

    loss: OfTwoScores
    fresh: bool = False

    def __call__(self, nets: nn.ModuleDict, tensors: Tensors) -> tuple[Tensor, Tensors]:
        """Returns (loss, what was made and its scores)."""
        end = "_G" if self.fresh else ""
        labels = given(tensors, "y" + end)
        fake_X = nets["net_G"](tensors["Z" + end], *labels)
        fake = nets["net_D"](fake_X, *labels)
        real = nets["net_D"](tensors["X" + end], *labels)
        return self.loss(real, fake), {"fake_X": fake_X, "fake": fake}


def scores_and_slopes(net_D: nn.Module, X: Examples, *labels: Tensor) -> tuple[Tensor, Examples]:
    """Returns the scores of examples, and the gradient of each score in its example, which can be derived again."""
    with torch.enable_grad():  # an evaluation has it off
        X = X if X.requires_grad else X.detach().requires_grad_()
        scores = net_D(X, *labels)
        (slopes,) = torch.autograd.grad(scores.sum(), X, create_graph=True)
    return scores, slopes


def squared_lengths(slopes: Examples) -> Float[Tensor, " batch"]:
    """Returns the squared length of each example's gradient."""
    return slopes.square().sum(dim=tuple(range(1, slopes.ndim)))


def _scores(net_D: nn.Module, X: Examples, *labels: Tensor) -> tuple[Tensor, Examples]:
    return net_D(X, *labels), X
