"""Markov decision processes whose model is known, and value iteration (book, sections 17.1 and 17.2)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from d2l_jax.cpu.compile import jit
from d2l_jax.errors import InputError

Table = Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]]


class MDP(NamedTuple):
    """A Markov decision process of few states: where an action leads, and what it earns on average.

    transitions: probabilities of the next state; each row sums to 1, or to what is left by the probability that the
        episode ends. A state that leads to itself and earns nothing is an end, too
    rewards: expected reward of an action
    """

    transitions: Float[Array, "states actions states"]
    rewards: Float[Array, "states actions"]


class Plan(NamedTuple):
    """Values and policy after each sweep of value iteration, the start first.

    values: of the best action of each state
    action_values: of each action
    policy: the best action; of equals the one of the lowest number
    """

    values: Float[Array, "sweeps+1 states"]
    action_values: Float[Array, "sweeps+1 states actions"]
    policy: Int[Array, "sweeps+1 states"]


def mdp_from_table(table: Table) -> MDP:
    """Returns the process that gymnasium's `env.unwrapped.P` describes: {state: {action: [(p, next, reward, end)]}}.

    Several outcomes that lead to one state are added up. One that ends the episode leads nowhere, unless its next state
    leads to itself alone: CliffWalking's table and Taxi's have moves out of the goal, which no walk takes.

    Raises:
      InputError: the environment has no such table, states or actions are not numbered from 0, a next state is none
        of them, a probability is negative, probabilities do not sum to 1, or a reward is not finite.
    """
    if not _is_model(table):
        raise InputError("the environment has no model: a table {state: {action: [(p, next, reward, end)]}} is wanted")
    states = len(table)
    numbered = set(table) == set(range(states))
    actions = len(table[0]) if numbered else 0
    transitions = np.zeros((states, actions, states))
    rewards = np.zeros((states, actions))
    resting = _resting(table)
    for state in table:
        if not numbered or set(table[state]) != set(range(actions)):
            raise InputError(f"state {state}: states and actions are numbered from 0, and each state has all actions")
        for action, outcomes in table[state].items():
            total = 0.0
            for probability, after, reward, end in outcomes:
                if after not in table:
                    raise InputError(f"state {state}, action {action} leads to state {after}; there are {states}")
                if not (probability >= 0 and math.isfinite(reward)):
                    raise InputError(
                        f"state {state}, action {action}: probability {probability} and reward {reward}; a probability"
                        " of at least 0 and a finite reward are right"
                    )
                total += probability
                if not end or after in resting:
                    transitions[state, action, after] += probability
                rewards[state, action] += probability * reward
            if abs(total - 1) > 1e-6:
                raise InputError(f"state {state}, action {action}: the probabilities sum to {total:g}, not to 1")
    return MDP(jnp.asarray(transitions), jnp.asarray(rewards))


def _is_model(table: Any) -> bool:
    """Tells whether an object has the form of a table, whatever its numbers are."""
    return (
        isinstance(table, Mapping)
        and len(table) > 0
        and all(isinstance(row, Mapping) and row for row in table.values())
        and all(isinstance(outcomes, Sequence) for row in table.values() for outcomes in row.values())
        and all(map(_is_outcome, (each for row in table.values() for outcomes in row.values() for each in outcomes)))
    )


def _is_outcome(outcome: Any) -> bool:
    if not isinstance(outcome, Sequence) or len(outcome) != 4:
        return False
    probability, after, reward, _ = outcome
    return isinstance(probability, Real) and isinstance(after, Integral) and isinstance(reward, Real)


def _resting(table: Table) -> set[int]:
    """Returns the states that lead to themselves alone and earn nothing: their worth is 0 without an end."""
    return {
        state
        for state, row in table.items()
        if all(after == state and reward == 0 for outcomes in row.values() for _, after, reward, _ in outcomes)
    }


def backup(mdp: MDP, values: Float[Array, " states"], gamma: float) -> Float[Array, "states actions"]:
    """Returns what each action earns if all that follows is worth `values`."""
    return mdp.rewards + gamma * mdp.transitions @ values


@partial(jit, static_argnames="sweeps")
def value_iteration(mdp: MDP, gamma: float = 0.95, sweeps: int = 10) -> Plan:
    """Returns values, values of actions and policy after each sweep over all states, from 0 on (section 17.2).

    Raises InputError for less than no sweep.
    """
    if sweeps < 0:
        raise InputError(f"{sweeps} sweeps over the states; 0 or more are right")

    def sweep(values: Array, _: None) -> tuple[Array, Array]:
        action_values = backup(mdp, values, gamma)
        return action_values.max(-1), action_values

    start = jnp.zeros_like(mdp.rewards)
    _, swept = jax.lax.scan(sweep, start[:, 0], length=sweeps)
    action_values = jnp.concatenate([start[None], swept])
    return Plan(action_values.max(-1), action_values, action_values.argmax(-1))


def policy_values(mdp: MDP, policy: Int[Array, " states"], gamma: float = 0.95) -> Float[Array, " states"]:
    """Returns what a policy is worth from each state, exactly: the solution of v = r + gamma P v."""
    states = jnp.arange(len(policy))
    reached = mdp.transitions[states, policy]
    return jnp.linalg.solve(jnp.eye(len(policy)) - gamma * reached, mdp.rewards[states, policy])


@jit
def policy_iteration(mdp: MDP, gamma: float = 0.95) -> Float[Array, " states"]:
    """Returns the values of the best policy: the fixed point of value iteration, by exact values of better policies."""

    def improves(state: tuple[Array, Array]) -> Array:
        values, better = state
        return (better > values + 1e-6 * jnp.abs(values).max()).any()

    def improve(state: tuple[Array, Array]) -> tuple[Array, Array]:
        _, values = state
        return values, policy_values(mdp, backup(mdp, values, gamma).argmax(-1), gamma)

    first = policy_values(mdp, jnp.zeros(len(mdp.rewards), int), gamma)
    return jax.lax.while_loop(improves, improve, improve((first, first)))[1]


@dataclass(frozen=True)
class ValueIteration:
    """An evaluation: the plan of the process "transitions" and "rewards" after some sweeps, and its policy's worth."""

    gamma: float = 0.95
    sweeps: int = 10

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns {"values": (sweeps + 1, states), "action_values", "policy": int, "fixed_point": (states,)}."""
        mdp = MDP(tensors["transitions"], tensors["rewards"])
        plan = value_iteration(mdp, self.gamma, self.sweeps)
        return plan._asdict() | {"fixed_point": policy_iteration(mdp, self.gamma)}


def draw_mdp(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws a process of 7 states and 3 actions, float32; the last state leads to itself and earns nothing."""
    transitions = random.dirichlet(np.full(7, 0.5), (7, 3))
    rewards = random.normal(size=(7, 3))
    transitions[-1] = np.eye(7)[-1]
    rewards[-1] = 0
    return {"transitions": transitions.astype(np.float32), "rewards": rewards.astype(np.float32)}
