"""Negative controls: plausible mistakes, each noticed by the comparison of losses in the case named."""

import jax.numpy as jnp
import pytest
from loss_cases import CASES, LIMIT, gap_of

from d2l_jax import losses


# Negative controls: plausible mistakes, each noticed by the comparison above in the case named.
def case_of(name, reduction="mean", **options):
    fits = (c for c in CASES if c["name"] == name and c["options"]["reduction"] == reduction)
    return next(c for c in fits if all(c["options"].get(k) == v or k in c["arrays"] for k, v in options.items()))


def mean_over_all(input, target, ignore_index, reduction):
    return jnp.mean(losses.nll_loss(input, target, ignore_index=ignore_index, reduction="none"))


def mean_over_examples(input, target, weight, ignore_index, reduction):
    counts = jnp.sum(target != ignore_index).astype(input.dtype)
    return losses.nll_loss(input, target, weight=weight, ignore_index=ignore_index, reduction="sum") / counts


def smoothed_among_the_others(input, target, label_smoothing, reduction):
    return losses.cross_entropy_loss(input, target, label_smoothing=label_smoothing * 7 / 6)


def eps_inside_the_root(anchor, positive, negative, p, margin, eps, reduction):
    def distance(x, y):
        return jnp.sqrt(jnp.sum((x - y) ** 2, axis=-1) + eps)

    return losses.triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin
    )


def swapped(input, target, reduction):
    return jnp.mean(jnp.exp(input) * (input - jnp.log(target)))


def logarithm_of_the_larger(input, target, log_input, full, eps, reduction):
    return jnp.mean(input - target * jnp.log(jnp.maximum(input, eps)))


def half_slope(input1, input2, target, margin, reduction):
    return jnp.mean(jnp.maximum(margin - target * (input1 - input2), 0))


def huber(input, target, beta, reduction):
    return losses.huber_loss(input, target, delta=beta)


def biased_denominator(input, target, weight, reduction):
    return jnp.mean(weight * (input - target) ** 2)


def clipped_slope(input, target, var, full, eps, reduction):
    return losses.gaussian_nll_loss(input, target, jnp.maximum(var, eps), eps=eps)


MISTAKES = [
    (mean_over_all, case_of("nll_loss")),
    (mean_over_examples, case_of("nll_loss", weight=...)),
    (smoothed_among_the_others, case_of("cross_entropy_loss", label_smoothing=0.1)),
    (eps_inside_the_root, case_of("triplet_margin_loss", p=2.0, eps=1e-3)),
    (swapped, case_of("kl_div")),
    (logarithm_of_the_larger, case_of("poisson_nll_loss", log_input=False, eps=0.1)),
    (half_slope, case_of("margin_ranking_loss")),
    (huber, case_of("smooth_l1_loss", beta=0.5)),
    (biased_denominator, case_of("mse_loss", weight=...)),
    (clipped_slope, case_of("gaussian_nll_loss", eps=0.7)),
]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("mistake, case", MISTAKES, ids=lambda v: getattr(v, "__name__", ""))
def test_control_a_mistake_is_noticed(mistake, case):
    assert gap_of(mistake, case, coarse=True) > 1e6 * LIMIT
