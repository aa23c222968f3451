"""What the appendix computes: chapter 22."""

from d2l_jax import algorithms
from d2l_jax.algorithms.information import draw_distributions
from d2l_jax.algorithms.naive_bayes import draw_bits
from d2l_jax.case import Case

STATISTICS: tuple[Case, ...] = (
    Case(
        "naive-bayes",
        "22.9",
        "Naive Bayes over binary features",
        None,
        draw=draw_bits,
        observe=algorithms.Classified(),
    ),
    Case(
        "information",
        "22.11",
        "Entropies and their kin",
        None,
        draw=draw_distributions,
        observe=algorithms.Information(),
    ),
)
