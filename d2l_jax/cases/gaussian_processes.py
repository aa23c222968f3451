"""Gaussian processes: chapter 18."""

from functools import partial

from d2l_jax import algorithms, models, optim
from d2l_jax.algorithms.drawn_curves import draw_curve
from d2l_jax.case import Case
from d2l_jax.turns import Turn

GAUSSIAN_PROCESSES: tuple[Case, ...] = (
    Case("gp-priors", "18.2", "Kernels of Gaussian processes", None, draw=draw_curve, observe=algorithms.Priors()),
    Case(
        "marginal-likelihood",
        "18.3",
        "Marginal likelihood and its gradient",
        None,
        draw=draw_curve,
        observe=algorithms.MarginalLikelihood(),
    ),
    Case("gp-posterior", "18.3", "Posterior of a curve", None, draw=draw_curve, observe=algorithms.Posterior()),
    Case(
        "exact-gp",
        "18.3",
        "ExactGPModel (GPyTorch)",
        models.ExactGPModel,
        draw=draw_curve,
        turns=(Turn(models.exact_marginal_loss, partial(optim.Adam, lr=0.1)),),
        observe=models.predicted,
    ),
)
