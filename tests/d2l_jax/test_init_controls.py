"""Negative controls of the initialisers: other distributions, each noticed."""

import math

import jax
import pytest
from draws import CONV, OTHER, ours, same_distribution, theirs

STOCK = jax.nn.initializers
MISTAKES = [
    ("lecun normal", "kaiming_uniform", dict(a=math.sqrt(5)), STOCK.lecun_normal()),
    ("He's normal, truncated", "kaiming_normal", {}, STOCK.he_normal()),
    ("fans exchanged", "kaiming_uniform", {}, STOCK.variance_scaling(2, "fan_in", "uniform", in_axis=-1, out_axis=-2)),
    ("PyTorch's layout", "kaiming_normal", {}, STOCK.variance_scaling(2, "fan_in", "normal", in_axis=1, out_axis=0)),
    ("standard deviation corrected", "trunc_normal", {}, STOCK.truncated_normal(1 / 0.87962566103423978)),
    ("bounds times std", "trunc_normal", dict(std=2.0), STOCK.truncated_normal(2.0)),
    ("gain not squared", "xavier_normal", dict(gain=5 / 3), STOCK.variance_scaling(5 / 3, "fan_avg", "normal")),
    ("variance for deviation", "normal", dict(std=0.3), STOCK.normal(0.3**2)),
]


@pytest.mark.parametrize("what, name, options, wrong", MISTAKES, ids=lambda v: v if isinstance(v, str) else "")
def test_control_a_mistake_is_noticed(what, name, options, wrong):
    assert same_distribution(ours(wrong, CONV), theirs(name, CONV, **options)) < OTHER
