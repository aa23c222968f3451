"""Reinforcement learning on tables: chapter 17."""

from d2l_jax import algorithms
from d2l_jax.algorithms.mdp import draw_mdp
from d2l_jax.algorithms.q_learning import draw_uniforms
from d2l_jax.case import Case

PLANNING: tuple[Case, ...] = (
    Case(
        "value-iteration",
        "17.2",
        "Value iteration",
        None,
        draw=draw_mdp,
        observe=algorithms.ValueIteration(),
    ),
    Case(
        "q-learning",
        "17.3",
        "Q-learning on a frozen lake",
        None,
        draw=draw_uniforms,
        observe=algorithms.QLearning(),
    ),
)
