"""Q-learning and the success of a policy in any environment of gymnasium with few states, one call after another.

The functions have the names, arguments and results of `d2l_jax.algorithms.q_learning`, with an environment in place of
the lake. Fed with the same numbers, they walk over calm ice as those do, step by step.
"""

import math
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from d2l_jax.algorithms.mdp import MDP, mdp_from_table
from d2l_jax.algorithms.q_learning import STEP_LIMIT, Learned, Rate, check_draws
from d2l_jax.errors import InputError


class Environment(Protocol):
    """What gymnasium's environments have: states and actions as spaces, and two calls."""

    observation_space: Any
    action_space: Any

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict]:
        """Begins an episode: its first state, and what else there is to say."""
        ...

    def step(self, action: int) -> tuple[Any, Any, bool, bool, dict]:
        """Takes an action: the next state, the reward, whether the episode ended or was cut off, and what else."""
        ...


def mdp(environment: Environment) -> MDP:
    """Returns the model of an environment; InputError where it has none."""
    return mdp_from_table(getattr(getattr(environment, "unwrapped", environment), "P", None))  # type: ignore[arg-type]


def q_learning(
    environment: Environment,
    draws: Float[Array, "episodes steps 4"],
    gamma: float = 0.95,
    alpha: Rate = 0.9,
    epsilon: ArrayLike = 0.9,
    random_ties: bool = False,
    seed: int = 0,
) -> Learned:
    """Returns the table that a walker learns from an environment (section 17.3).

    The arguments are those of `d2l_jax.algorithms.q_learning`; of `draws` the third number is not used, since the
    environment slips by itself.

    seed: of what is random in the environment
    Raises InputError where states or actions are not numbered from 0, a step leads to none of them or earns what is not
    finite, or `draws` have another shape.
    """
    numbers = np.asarray(draws)
    check_draws(numbers.shape, np.shape(epsilon))
    episodes = len(numbers)
    table = np.zeros((_count(environment, "observation_space"), _count(environment, "action_space")), numbers.dtype)
    visits = np.zeros(table.shape, int)
    chances = np.broadcast_to(np.asarray(epsilon, numbers.dtype), episodes)
    rate = alpha if callable(alpha) else lambda visits: alpha
    returns = np.zeros(episodes, numbers.dtype)
    lengths = np.zeros(episodes, int)
    for episode, (steps, chance) in enumerate(zip(numbers, chances)):
        state, _ = environment.reset(seed=seed if episode == 0 else None)
        for explore, which, _, tie in steps:
            action = _chosen(table[state], which if explore < chance else None, tie if random_ties else None)
            after, reward, ended, cut = _step(environment, action, len(table))
            error = reward + gamma * (0.0 if ended else table[after].max()) - table[state, action]
            table[state, action] += float(rate(visits[state, action])) * error
            visits[state, action] += 1
            returns[episode] += reward
            lengths[episode] += 1
            state = after
            if ended or cut:
                break
    return Learned(jnp.asarray(table), jnp.asarray(visits), jnp.asarray(returns), jnp.asarray(lengths))


def success_rate(
    environment: Environment, policy: Int[Array, " states"], walkers: int = 100, limit: int = STEP_LIMIT, seed: int = 0
) -> float:
    """Returns the share of walks that earn something within the limit, one walk after another.

    Raises InputError where there is no walk, or a step leads to a state without an action or earns what is not finite.
    """
    actions = np.asarray(policy).tolist()
    if walkers < 1:
        raise InputError(f"{walkers} walks; one or more are right")
    arrived = 0
    for walk in range(walkers):
        state, _ = environment.reset(seed=seed if walk == 0 else None)
        earned = False
        for _ in range(limit):
            state, reward, ended, cut = _step(environment, actions[state], len(actions))
            earned = earned or reward > 0
            if ended or cut:
                break
        arrived += earned
    return arrived / walkers


def _chosen(values: np.ndarray, which: float | None, tie: float | None) -> int:
    """Returns the action of a random number, or else one of the largest value."""
    if which is not None:
        return int(which * len(values))
    equal = np.flatnonzero(values == values.max())
    return int(equal[0] if tie is None else equal[int(tie * len(equal))])


def _step(environment: Environment, action: int, states: int) -> tuple[int, float, bool, bool]:
    after, reward, ended, cut, _ = environment.step(action)
    if not (0 <= after < states and math.isfinite(reward)):
        raise InputError(
            f"action {action} leads to state {after} and earns {reward}; a state from 0 to {states - 1} and a finite "
            "reward are right"
        )
    return int(after), float(reward), ended, cut


def _count(environment: Environment, name: str) -> int:
    space = getattr(environment, name)
    if not hasattr(space, "n") or getattr(space, "start", 0) != 0:
        raise InputError(f"the environment's {name} is {space}; one that numbers from 0, as Discrete(16), is right")
    return int(space.n)
