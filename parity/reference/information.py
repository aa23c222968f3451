"""Information theory in PyTorch, by sums over what is possible; see `d2l_jax.algorithms.information`."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def expected(weights: Tensor, values: Tensor) -> Tensor:
    """Returns the sum of the products, over those weights that are not 0."""
    possible = weights > 0
    return (weights[possible] * values[possible]).sum()


@dataclass(frozen=True)
class Information:
    """An evaluation: all of this file, of the table "joint", the distributions "p" and "q", "probs" and "labels"."""

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns each quantity by its name."""
        joint, p, q = tensors["joint"], tensors["p"], tensors["q"]
        of_x, of_y = joint.sum(dim=1), joint.sum(dim=0)
        joint_entropy = expected(joint, -joint.log())
        entropy_of_x, entropy_of_y = expected(of_x, -of_x.log()), expected(of_y, -of_y.log())
        likelihood = tensors["probs"][torch.arange(len(tensors["labels"])), tensors["labels"].long()]
        return {
            "self_information": -q.log(),
            "entropy": expected(p, -p.log()),
            "joint_entropy": joint_entropy,
            "conditional_entropy": joint_entropy - entropy_of_x,
            "mutual_information": entropy_of_x + entropy_of_y - joint_entropy,
            "kl_divergence": expected(p, p.log() - q.log()),
            "cross_entropy": expected(p, -q.log()),
            "negative_log_likelihood": -likelihood.log().mean(),
        }
