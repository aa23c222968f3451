"""Q-learning in PyTorch, step by step; see `d2l_jax.algorithms.q_learning` (book, section 17.3)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from parity.reference.mdp import first_best

ROWS = ("SFFF", "FHFH", "FFFH", "HFFG")


def move(state: int, action: int) -> tuple[int, float]:
    """Returns where an action leads on ice that does not slip, and what it earns."""
    row, column = divmod(state, 4)
    if ROWS[row][column] in "HG":
        return state, 0.0
    column = min(column + 1, 3) if action == 2 else max(column - 1, 0) if action == 0 else column
    row = min(row + 1, 3) if action == 1 else max(row - 1, 0) if action == 3 else row
    return 4 * row + column, float(ROWS[row][column] == "G")


@dataclass(frozen=True)
class QLearning:
    """An evaluation: what the numbers "draws" teach, on calm ice, and as the second edition does on slippery ice."""

    gamma: float = 0.95
    alpha: float = 0.9
    epsilon: float = 0.9

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns table, visits, returns and lengths: on calm ice, and on slippery ice as "falling_table" and so on."""
        first = self._learned(tensors["draws"], second_edition=False)
        second = self._learned(tensors["draws"], second_edition=True)
        return first | {f"falling_{name}": value for name, value in second.items()}

    def _learned(self, draws: Float[Tensor, "episodes steps 4"], second_edition: bool) -> dict[str, Tensor]:
        table = torch.zeros(16, 4, dtype=draws.dtype)
        visits = torch.zeros(16, 4, dtype=torch.long)
        returns, lengths = [], []
        for episode in draws:
            state, earned, steps = 0, 0.0, 0
            for explore, which, slip, tie in episode:
                values = table[state]
                if explore < self.epsilon:
                    action = int(which * 4)
                elif second_edition:
                    equals = (values == values.max()).nonzero()[:, 0]
                    action = int(equals[int(tie * len(equals))])
                else:
                    action = int(first_best(values))
                turned = (action + int(slip * 3) - 1) % 4 if second_edition else action
                after, reward = move(state, turned)
                rate = 1 / (1 + 0.1 * int(visits[state, action])) if second_edition else self.alpha
                table[state, action] += rate * (reward + self.gamma * table[after].max() - table[state, action])
                visits[state, action] += 1
                state, earned, steps = after, earned + reward, steps + 1
                if ROWS[state // 4][state % 4] in "HG":
                    break
            returns.append(earned)
            lengths.append(steps)
        learned = {"table": table, "visits": visits}
        return learned | {"returns": draws.new_tensor(returns), "lengths": torch.tensor(lengths)}
