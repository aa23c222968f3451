"""Q-learning, and how often a policy reaches the goal, as programs of one call (book, section 17.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from d2l_jax.algorithms.frozen_lake import MAP_4X4, FrozenLake, frozen_lake
from d2l_jax.cpu.compile import jit
from d2l_jax.errors import InputError

STEP_LIMIT = 100  # of gymnasium's FrozenLake-v1
DRAWS = 4  # of a step: explore, which action, how the ice slips, which of equal actions
Rate = float | Callable[[Array], Array]


class Learned(NamedTuple):
    """The table that Q-learning ends with, and how each episode went.

    table: values of actions
    visits: how often each action was taken
    returns: sum of an episode's rewards
    lengths: its steps; the limit where it did not end by itself
    """

    table: Float[Array, "states actions"]
    visits: Int[Array, "states actions"]
    returns: Float[Array, " episodes"]
    lengths: Int[Array, " episodes"]


class Walk(NamedTuple):
    """A walker within an episode."""

    table: Float[Array, "states actions"]
    visits: Int[Array, "states actions"]
    state: Int[Array, ""]
    earned: Float[Array, ""]
    steps: Int[Array, ""]


def uniforms(key: Array, episodes: int = 256, limit: int = STEP_LIMIT) -> Float[Array, "episodes steps 4"]:
    """Draws the numbers that decide over everything random in `q_learning`; InputError for no episode or no step."""
    if episodes < 1 or limit < 1:
        raise InputError(f"{episodes} episodes of at most {limit} steps; 1 or more of both are right")
    return jax.random.uniform(key, (episodes, limit, DRAWS))


@partial(jit, static_argnames=("alpha", "random_ties"))
def q_learning(
    lake: FrozenLake,
    draws: Float[Array, "episodes steps 4"],
    gamma: float = 0.95,
    alpha: Rate = 0.9,
    epsilon: ArrayLike = 0.9,
    random_ties: bool = False,
) -> Learned:
    """Returns the table that a walker learns, episode after episode, from what it meets (section 17.3).

    draws: from `uniforms`; their shape says how many episodes, and how many steps at most each
    alpha: rate of an update, or a function of how often the action was taken before
    epsilon: probability of a random action; a number, or one for each episode
    random_ties: of equal actions any is taken (second edition); else that of the lowest number

    A state that ends an episode keeps its values of 0.

    Raises InputError for `draws` of another shape, and where `epsilon` is not one number, or one for each episode.
    """
    check_draws(draws.shape, jnp.shape(epsilon))
    chances = jnp.broadcast_to(jnp.asarray(epsilon, draws.dtype), draws.shape[:1])
    start = jnp.zeros(lake.next_state.shape, draws.dtype)
    rate = alpha if callable(alpha) else lambda visits: jnp.asarray(alpha, draws.dtype)

    def episode(carry: tuple[Array, Array], drawn: tuple[Array, Array]) -> tuple[tuple[Array, Array], tuple]:
        numbers, chance = drawn

        def step(walk: Walk) -> Walk:
            explore, which, slip, tie = numbers[walk.steps]
            values = walk.table[walk.state]
            best = _any_of(values == values.max(), tie) if random_ties else values.argmax()
            action = jnp.where(explore < chance, (which * len(values)).astype(int), best)
            after, reward = lake.step(walk.state, action, slip)
            error = reward + gamma * walk.table[after].max() - walk.table[walk.state, action]
            table = walk.table.at[walk.state, action].add(rate(walk.visits[walk.state, action]) * error)
            visits = walk.visits.at[walk.state, action].add(1)
            return Walk(table, visits, after, walk.earned + reward, walk.steps + 1)

        def goes_on(walk: Walk) -> Array:
            return ~lake.ends[walk.state] & (walk.steps < len(numbers))

        nowhere = jnp.zeros((), int)
        walk = jax.lax.while_loop(goes_on, step, Walk(*carry, nowhere, jnp.zeros((), draws.dtype), nowhere))
        return (walk.table, walk.visits), (walk.earned, walk.steps)

    learned, (returns, lengths) = jax.lax.scan(episode, (start, jnp.zeros(start.shape, int)), (draws, chances))
    return Learned(*learned, returns, lengths)


def check_draws(draws: tuple[int, ...], epsilon: tuple[int, ...] = ()) -> None:
    """Raises InputError where the shapes of the random numbers, and of the chances to explore, are no episodes'."""
    if len(draws) != 3 or draws[2] != DRAWS:
        raise InputError(f"draws of shape {draws}; (episodes, steps, {DRAWS}) is right")
    if epsilon not in ((), (1,), draws[:1]):
        raise InputError(f"epsilon has the shape {epsilon}; a number, or one for each of {draws[0]} episodes, is right")


def _any_of(equal: Array, uniform: Array) -> Array:
    """Returns the number of one that is true, each as likely as the others."""
    rank = (uniform * equal.sum().astype(uniform.dtype)).astype(int)
    return jnp.argmax(equal & (jnp.cumsum(equal) - 1 == rank))


def success_rate(
    lake: FrozenLake, policy: Int[Array, " states"], key: Array, walkers: int = 4096, limit: int = STEP_LIMIT
) -> Float[Array, ""]:
    """Returns the share of walkers that reach the goal within the limit, all of them walking at once.

    Raises InputError where there is no walk, or not an action for each state; within `jax.jit`, which hides the
    values, an action that the lake does not have is not seen.
    """
    check_policy(policy, *lake.next_state.shape)
    if walkers < 1:
        raise InputError(f"{walkers} walks; one or more are right")
    return _walked(lake, policy, key, walkers, limit)


@partial(jit, static_argnames=("walkers", "limit"))
def _walked(lake: FrozenLake, policy: Int[Array, " states"], key: Array, walkers: int, limit: int) -> Float[Array, ""]:

    def step(carry: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], None]:
        state, earned = carry
        state, reward = lake.step(state, policy[state], jax.random.uniform(key, state.shape))
        return (state, earned + reward), None

    start = jnp.zeros(walkers, int), jnp.zeros(walkers)
    (_, earned), _ = jax.lax.scan(step, start, jax.random.split(key, limit))
    return earned.mean()


def check_policy(policy: Int[Array, " states"], states: int, actions: int) -> None:
    """Raises InputError where a policy has not one action for each state, or names one that there is not.

    JAX itself would take the last state's action for those of missing ones.
    """
    if policy.shape != (states,) or not jnp.issubdtype(policy.dtype, jnp.integer):
        raise InputError(f"a policy {policy.dtype}{policy.shape}; a whole number for each of {states} states is right")
    if isinstance(policy, Tracer):
        return
    chosen = np.asarray(policy)
    if (wrong := np.flatnonzero((chosen < 0) | (chosen >= actions))).size:
        raise InputError(f"state {wrong[0]} has the action {chosen[wrong[0]]}; one from 0 to {actions - 1} is right")


@dataclass(frozen=True)
class QLearning:
    """An evaluation: what the numbers "draws" teach, on calm ice, and as the second edition does on slippery ice."""

    gamma: float = 0.95
    alpha: float = 0.9
    epsilon: float = 0.9

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Array]:
        """Returns the fields of `Learned`: on calm ice, and on slippery ice as "falling_table" and so on."""
        draws = tensors["draws"]
        calm = q_learning(frozen_lake(MAP_4X4), draws, self.gamma, self.alpha, self.epsilon)
        slippery = frozen_lake(MAP_4X4, slippery=True)
        falling = q_learning(slippery, draws, self.gamma, falling_rate, self.epsilon, random_ties=True)
        return calm._asdict() | {f"falling_{name}": value for name, value in falling._asdict().items()}


def falling_rate(visits: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns 1 / (1 + 0.1 n), the rate of the second edition."""
    return 1 / (1 + 0.1 * visits.astype(float))


def draw_uniforms(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws the random numbers of 17 episodes of at most 23 steps, float32."""
    return {"draws": random.random((17, 23, DRAWS), np.float32)}
