"""Naive Bayes in PyTorch, class by class; see `d2l_jax.algorithms.naive_bayes` (book, section 22.9)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Classified:
    """An evaluation: estimates from "features" and "labels", and the scores of "unseen"."""

    classes: int = 3

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns {"P_y", "P_xy", "scores": (examples, classes), "predicted": int}."""
        features, labels = tensors["features"], tensors["labels"]
        groups = [features[labels == label] for label in range(self.classes)]
        P_y = torch.stack([features.new_tensor(len(group) / len(features)) for group in groups])
        P_xy = torch.stack([(group.sum(dim=0) + 1) / (len(group) + 2) for group in groups])
        scores = torch.stack([self._scores(x, P_y, P_xy) for x in tensors["unseen"]])
        return {"P_y": P_y, "P_xy": P_xy, "scores": scores, "predicted": scores.argmax(dim=1)}

    def _scores(self, x: Tensor, P_y: Tensor, P_xy: Tensor) -> Tensor:
        likelihood = torch.where(x > 0, P_xy, 1 - P_xy)
        return P_y.log() + likelihood.log().flatten(1).sum(dim=1)
