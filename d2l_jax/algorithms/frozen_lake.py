"""FrozenLake on the device: gymnasium's FrozenLake-v1 as arrays, for as many walkers as there is room (chapter 17)."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from d2l_jax.algorithms.mdp import MDP
from d2l_jax.errors import InputError

MAP_4X4 = ("SFFF", "FHFH", "FFFH", "HFFG")
MAP_8X8 = ("SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG")
LEFT, DOWN, RIGHT, UP = range(4)
STEPS = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)])  # rows and columns, by action


class FrozenLake(NamedTuple):
    """A lake of cells, numbered by rows from the upper left: start, ice, holes and the goal.

    next_state: where an action leads if the ice does not slip; a hole and the goal lead to themselves
    ends: whether an episode is over in a cell
    goal: whether reaching a cell from another one earns 1
    slips: by how much an action may be turned, each as likely as the others: (0,) calm, (-1, 0, 1) slippery
    """

    next_state: Int[Array, "states actions"]
    ends: Bool[Array, " states"]
    goal: Bool[Array, " states"]
    slips: Int[Array, " outcomes"]

    def step(
        self, state: Int[Array, "*walkers"], action: Int[Array, "*walkers"], uniform: Float[Array, "*walkers"]
    ) -> tuple[Int[Array, "*walkers"], Float[Array, "*walkers"]]:
        """Returns the next state and the reward; a number from [0, 1) says how the ice slips."""
        slip = self.slips[(uniform * len(self.slips)).astype(int)]
        after = self.next_state[state, (action + slip) % len(STEPS)]
        return after, (self.goal[after] & ~self.ends[state]).astype(uniform.dtype)

    def mdp(self) -> MDP:
        """Returns the model, as value iteration takes it."""
        states, actions = self.next_state.shape
        turned = (jnp.arange(actions)[:, None] + self.slips[None]) % actions
        after = self.next_state[:, turned]  # states, actions, outcomes
        earns = self.goal[after] & ~self.ends[:, None, None]
        return MDP(jax.nn.one_hot(after, states, dtype=float).mean(-2), earns.astype(float).mean(-1))


def frozen_lake(rows: Sequence[str] = MAP_4X4, slippery: bool = False) -> FrozenLake:
    """Returns the lake of a map: rows of S (start, the upper left), F (ice), H (hole) and G (goal).

    The book's is calm; its second edition's and gymnasium's own are slippery: an action goes aside two times in three.

    Raises:
      InputError: rows of different lengths, another letter, or a start that is not the first cell.
    """
    cells = "".join(rows)
    if not cells or len({len(row) for row in rows}) > 1:
        raise InputError("a lake's rows have the same length, of at least one cell")
    if strange := set(cells) - set("SFHG"):
        raise InputError(f"a lake has cells S, F, H and G, not {' '.join(sorted(strange))}")
    if cells[0] != "S":
        raise InputError("a lake's first cell is its start, S")
    height = len(rows)
    width = len(rows[0])
    here = np.stack(np.divmod(np.arange(height * width), width), -1)
    there = np.clip(here[:, None] + STEPS, 0, (height - 1, width - 1))
    ends = np.array([cell in "HG" for cell in cells])
    after = np.where(ends[:, None], np.arange(height * width)[:, None], there[..., 0] * width + there[..., 1])
    goal = np.array([cell == "G" for cell in cells])
    slips = (-1, 0, 1) if slippery else (0,)
    return FrozenLake(jnp.asarray(after), jnp.asarray(ends), jnp.asarray(goal), jnp.asarray(slips))
