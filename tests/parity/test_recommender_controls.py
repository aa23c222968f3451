"""The proof of recommenders can fail: a pair that is exchanged, others that are not there, a margin, a bias."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jax.numpy as jnp
import pytest

from d2l_jax import losses, models
from d2l_jax.catalog import get
from parity.proof.proof import check_twin
from parity.twin.pairing import twin_of


def exchanged(positive, negative, weight):
    return losses.bpr_loss(-positive, -negative, weight)


def without_weights(positive, negative, weight):
    return losses.bpr_loss(positive, negative, jnp.ones_like(weight))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("neumf", exchanged),
        ("neumf", without_weights),
        ("caser-hinge", partial(losses.hinge_ranking_loss, margin=0.5)),
    ],
)
def test_another_loss_is_found(name: str, wrong: Callable):
    twin = twin_of(get(name), steps=1)
    (turn,) = twin.flax.turns
    planted = replace(twin, flax=replace(twin.flax, turns=(turn._replace(objective=models.Ranked(wrong)),)))
    result = check_twin(planted, tiers=("float64",))
    failed = [str(row.key) for row in result.rows["float64"] if not row.passed]
    assert result.status == "fail" and "forward/loss" in failed
    assert not {"forward/output", "forward/others"} & set(failed)
