"""Ends of episodes in environments that run side by side."""

from itertools import pairwise

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")


def walk(mode: str) -> list[tuple[bool, float]]:
    """Returns for each step whether the episode ended with it, and its reward."""
    mode = gymnasium.vector.AutoresetMode(mode)
    envs = gymnasium.make_vec("CartPole-v1", 1, "sync", vector_kwargs={"autoreset_mode": mode})
    envs.reset(seed=0)
    steps = [envs.step(np.array([1])) for _ in range(30)]
    return [(bool(ended[0]), float(reward[0])) for _, reward, ended, _, _ in steps]


def test_the_step_behind_an_end():
    assert gymnasium.make_vec("CartPole-v1", 1, "sync").metadata["autoreset_mode"].value == "NextStep"
    behind = [[second[1] for first, second in pairwise(walk(mode)) if first[0]] for mode in ("NextStep", "SameStep")]
    assert len(behind[0]) > 1 and set(behind[0]) == {0} and set(behind[1]) == {1}
