"""Running statistics of a step that passes through its model several times, as sharpness-aware minimisation does."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from d2l_jax.weights.leaf import Leaf
from parity.arrays.key import Key
from parity.training_step.averages import of_statistics

KEY = Key(1, "buffers", "norm.running_var")
LEAF = Leaf("norm.running_var", ("norm", "var"), False, "float32", (3,), (3,), (0,), (3,))
OLD, BATCHES = np.array([1.0, 0.5, 2.0]), np.random.default_rng(0).uniform(0.5, 2, size=(4, 3))


def after(passes, factor, momentum=0.1):
    """Returns the running variance after so many passes."""
    running = OLD
    for batch in BATCHES[:passes]:
        running = (1 - momentum) * running + momentum * factor * batch
    return running


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize(
    ("ours", "cause"),
    [
        (lambda passes: after(passes, 1), "biased-variance"),
        (lambda passes: after(passes, 1) + [0, 0, 0.01], None),
        (lambda passes: after(passes, 10 / 8), None),
    ],
    ids=["over n", "something else", "larger"],
)
def test_a_variance_over_n_is_told_after_several_passes(passes, ours, cause):
    pair: Any = SimpleNamespace(leaves=[LEAF], torch=SimpleNamespace())
    pair.torch.model = torch.nn.ModuleDict({"norm": torch.nn.BatchNorm1d(3)})
    outcome: Any = SimpleNamespace(
        before={LEAF.path: OLD}, oracle={KEY: after(passes, 8 / 7)}, flax={KEY: ours(passes)}
    )
    found = of_statistics(pair, outcome, KEY)
    assert (found and found.name) == cause and (not found or "(n = 8)" in found.text), found
