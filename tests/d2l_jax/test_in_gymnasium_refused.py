"""What walks in an environment refuse: steps to nowhere, rewards that are no numbers, policies of other states."""

from types import SimpleNamespace

import numpy as np
import pytest

from d2l_jax.algorithms import in_gymnasium
from d2l_jax.errors import InputError

DRAWS = np.random.default_rng(0).random((2, 5, 4))


class Endless:
    """Three states and two actions, and no end; it has no model."""

    observation_space = SimpleNamespace(n=3, start=0)
    action_space = SimpleNamespace(n=2, start=0)

    def __init__(self, after: int = 1, reward: float = 0.0):
        self.after, self.reward = after, reward

    def reset(self, *, seed: int | None = None) -> tuple[int, dict]:
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        return self.after, self.reward, False, False, {}


def test_an_episode_that_never_ends_stops_at_the_limit():
    assert in_gymnasium.q_learning(Endless(), DRAWS).lengths.tolist() == [5, 5]
    assert in_gymnasium.success_rate(Endless(), np.zeros(3, int), 2, 5) == 0
    assert in_gymnasium.success_rate(Endless(reward=1.0), np.zeros(3, int), 2, 5) == 1
    with pytest.raises(InputError, match="the environment has no model"):
        in_gymnasium.mdp(Endless())


@pytest.mark.parametrize("after, reward", [(7, 0.0), (-1, 0.0), (1, np.nan), (1, np.inf)])
def test_a_step_to_nowhere_or_a_reward_that_is_none_is_refused(after: int, reward: float):
    environment = Endless(after, reward)
    for walk in (
        lambda: in_gymnasium.q_learning(environment, DRAWS),
        lambda: in_gymnasium.success_rate(environment, np.zeros(3, int), 2, 5),
    ):
        with pytest.raises(InputError, match=f"leads to state {after} and earns {reward}; a state from 0 to 2"):
            walk()


def test_other_shapes_are_refused():
    with pytest.raises(InputError, match=r"draws of shape \(2, 5, 2\); \(episodes, steps, 4\) is right"):
        in_gymnasium.q_learning(Endless(), DRAWS[..., :2])
    with pytest.raises(InputError, match="leads to state 1 and earns 0.0; a state from 0 to 0"):
        in_gymnasium.success_rate(Endless(), np.zeros(1, int), 2)
    with pytest.raises(InputError, match="0 walks; one or more are right"):
        in_gymnasium.success_rate(Endless(), np.zeros(3, int), 0)
