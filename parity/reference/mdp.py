"""Value iteration in PyTorch, state by state; see `d2l_jax.algorithms.mdp` (book, section 17.2)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


def backup(
    transitions: Float[Tensor, "states actions states"],
    rewards: Float[Tensor, "states actions"],
    values: Float[Tensor, " states"],
    gamma: float,
) -> Float[Tensor, "states actions"]:
    """Returns what each action earns if all that follows is worth `values`."""
    result = torch.zeros_like(rewards)
    for state, row in enumerate(transitions):
        for action, reached in enumerate(row):
            worth = sum(p * value for p, value in zip(reached, values, strict=True))
            result[state, action] = rewards[state, action] + gamma * worth
    return result


def policy_values(
    transitions: Tensor, rewards: Tensor, policy: Int[Tensor, " states"], gamma: float
) -> Float[Tensor, " states"]:
    """Returns what a policy is worth from each state, exactly."""
    reached = torch.stack([transitions[state, action] for state, action in enumerate(policy)])
    earned = torch.stack([rewards[state, action] for state, action in enumerate(policy)])
    return torch.linalg.inv(torch.eye(len(policy), dtype=rewards.dtype) - gamma * reached) @ earned


@dataclass(frozen=True)
class ValueIteration:
    """An evaluation: the plan of the process "transitions" and "rewards" after some sweeps, and its policy's worth."""

    gamma: float = 0.95
    sweeps: int = 10

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
        """Returns {"values": (sweeps + 1, states), "action_values", "policy": int, "fixed_point": (states,)}."""
        process = tensors["transitions"], tensors["rewards"]
        action_values = [torch.zeros_like(tensors["rewards"])]
        for _ in range(self.sweeps):
            action_values.append(backup(*process, action_values[-1].max(dim=1).values, self.gamma))
        swept = torch.stack(action_values)
        policy = torch.stack([first_best(row) for table in swept for row in table]).reshape(swept.shape[:2])
        best = policy_values(*process, policy[-1], self.gamma)
        for _ in range(100):
            best = policy_values(*process, backup(*process, best, self.gamma).argmax(dim=1), self.gamma)
        return {"values": swept.max(dim=-1).values, "action_values": swept, "policy": policy, "fixed_point": best}


def first_best(values: Float[Tensor, " actions"]) -> Int[Tensor, ""]:
    """Returns the action of the largest value, of equals that of the lowest number."""
    return (values == values.max()).nonzero()[0, 0]
