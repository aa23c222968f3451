"""Twins of `d2l_jax.optim`'s algorithms that `torch.optim` lacks: those that the book writes by hand."""

from collections.abc import Callable
from typing import Any

import torch


class _ByHand(torch.optim.Optimizer):
    """An optimiser whose subclasses write one parameter's update."""

    slots: tuple[str, ...] = ()

    @torch.no_grad()
    def step(self, closure: Callable | None = None) -> None:  # type: ignore[override]
        """Updates every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state.update({name: torch.zeros_like(p) for name in self.slots})
                state["step"] += 1
                self.move(p, p.grad, state, group)

    def move(self, p: torch.Tensor, g: torch.Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        raise NotImplementedError


class AdagradScratch(_ByHand):
    """Adagrad with eps inside the root (section 12.7)."""

    slots = ("sum",)

    def __init__(self, params: Any, lr: float = 1e-2, eps: float = 1e-6):
        super().__init__(params, dict(lr=lr, eps=eps))

    def move(self, p: torch.Tensor, g: torch.Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        state["sum"] += g.square()
        p -= group["lr"] * g / torch.sqrt(state["sum"] + group["eps"])


class RMSPropScratch(_ByHand):
    """RMSProp with eps inside the root (section 12.8)."""

    slots = ("square_avg",)

    def __init__(self, params: Any, lr: float = 1e-2, gamma: float = 0.9, eps: float = 1e-6):
        super().__init__(params, dict(lr=lr, gamma=gamma, eps=eps))

    def move(self, p: torch.Tensor, g: torch.Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        gamma = group["gamma"]
        state["square_avg"].mul_(gamma).add_((1 - gamma) * g.square())
        p -= group["lr"] * g / torch.sqrt(state["square_avg"] + group["eps"])


class Yogi(_ByHand):
    """Yogi (section 12.10)."""

    slots = ("exp_avg", "exp_avg_sq")

    def __init__(self, params: Any, lr: float = 1e-2, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-3):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    def move(self, p: torch.Tensor, g: torch.Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        t = state["step"].item()
        mean = state["exp_avg"]
        square = state["exp_avg_sq"]
        mean.mul_(first).add_((1 - first) * g)
        square.add_((1 - second) * torch.sign(g.square() - square) * g.square())
        root = torch.sqrt(square / (1 - second**t)) + group["eps"]
        p -= group["lr"] * (mean / (1 - first**t)) / root
