"""Numbers that change with the steps: Flax has those of another step; and updates that are made of rounding alone."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from parity.arrays.key import Key
from parity.training_step.other_steps import Numbers, other_steps
from parity.training_step.replay import Replay

X = torch.arange(3.0)


def step(number, ahead=0, scale=1.0):
    """Returns the loss and what an optimiser makes of it, with a weight that is annealed and one that stays."""
    return lambda: X.sum() * ((number + ahead - 1) / 10) + (X * 0.5 * scale).sum()


def taken(run):
    def under(mode: Numbers):
        with mode.running():
            return [np.asarray(run())]

    return under


@pytest.mark.parametrize("number, ahead, words", [(1, 1, "in step 2"), (2, 1, "in step 3"), (3, -2, "in step 1")])
def test_the_number_of_another_step_is_found(number, ahead, words):
    others = {other: taken(step(other)) for other in (1, 2, 3) if other != number}
    trials = [(text, pieces[0]) for _, text, pieces, _ in other_steps(number, taken(step(number)), others)]
    flax = float(step(number, ahead)())
    assert [words in text for text, piece in trials if piece == flax] == [True], trials
    assert not any(piece == float(step(number, ahead, 1.5)()) for _, piece in trials)


def test_steps_of_other_calls_and_of_the_same_numbers_are_not_tried():
    assert not list(other_steps(1, taken(lambda: X.sum() * 0.5), {2: taken(lambda: X.sum() * 0.5)}))
    assert not list(other_steps(1, taken(lambda: X.sum() * 0.5), {2: taken(lambda: X.sum() + 0.1)}))
    assert not list(other_steps(1, taken(lambda: X.sum()), {2: taken(lambda: X.sum() * 0.1)}))


def test_what_an_optimizer_makes_of_rounding_is_nothing():
    gradients = {"weight": np.ones(3), "bias": np.full(3, 1e-17)}
    updates = {"weight": np.full(3, -0.1), "bias": np.array([1e-11, -2e-11, 0.0])}
    record = {Key(1, "update", name): array for name, array in updates.items()}
    decayed = record | {Key(1, "update", "bias"): np.full(3, 1e-3)}
    outcome: Any = SimpleNamespace(oracle=record, flax=decayed, seen=SimpleNamespace(applied=[gradients]))
    replay = Replay(SimpleNamespace(), outcome, [])  # type: ignore[arg-type]
    assert replay.rounding == {"bias"}
    of = {key.tensor: (theirs, ours) for key, theirs, ours in zip(replay.keys, replay.oracle, replay.flax)}
    assert not of["bias"][0].any() and np.array_equal(of["bias"][1], decayed[Key(1, "update", "bias")])
    assert all(np.array_equal(each, updates["weight"]) for each in of["weight"])
