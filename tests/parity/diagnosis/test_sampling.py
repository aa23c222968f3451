"""Spatial transformers, whose grid or samples follow another convention."""

import pytest
import torch
from planting import normal, seeded
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis import explain_layer

IMAGES = normal(2, 3, 5, 6)


class Transformer(nn.Module):
    def __init__(self, grid=False, sampled=False, swapped=False, factor=1.0, **options):
        super().__init__()
        self.where = nn.Linear(3, 6)
        self.grid, self.sampled, self.swapped, self.factor, self.options = grid, sampled, swapped, factor, options

    def forward(self, x):
        theta = self.where(x.mean((2, 3))).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=self.grid) * self.factor
        grid = grid.flip(-1) if self.swapped else grid
        return F.grid_sample(x, grid, align_corners=self.sampled, **self.options)


def cause_of(flax):
    right = seeded(Transformer())
    flax.double().load_state_dict(right.state_dict())
    named = explain_layer(right, (IMAGES,), {}, flax(torch.as_tensor(IMAGES)).detach().numpy(), training=False)
    return named and (named.name, named.text)


@pytest.mark.parametrize(
    ("flax", "cause", "words"),
    [
        (Transformer(grid=True, sampled=True), "align-corners", "affine_grid has False; Flax samples as"),
        (Transformer(grid=True), "align-corners", "Flax's grid is that of align_corners=True"),
        (Transformer(sampled=True), "align-corners", "Flax samples as align_corners=True does"),
        (Transformer(padding_mode="border"), "padding-mode", "'border'"),
        (Transformer(mode="nearest"), "resize-mode", "nearest"),
        (Transformer(swapped=True), "coordinates-exchanged", "(y, x)"),
    ],
)
def test_another_convention_is_named(flax, cause, words):
    named = cause_of(flax)
    assert named is not None and named[0] == cause and words in named[1], named


def test_control_another_grid_has_none_of_these_causes():
    named = cause_of(Transformer(grid=True, sampled=True, factor=0.9))
    assert named is None or named[0] not in ("align-corners", "padding-mode", "coordinates-exchanged")
