"""The proof of word vectors can fail: a mask that is forgotten, turns that are exchanged, another power."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jax.numpy as jnp
import pytest

from d2l_jax import losses
from d2l_jax.catalog import get
from d2l_jax.turns import Supervised
from parity.proof.proof import check_twin
from parity.twin.pairing import twin_of


def without_masks(logits, targets):
    return losses.negative_sampling_loss(logits, (targets[0], jnp.ones_like(targets[1])))


def left_for_right(logits, targets):
    return losses.hierarchical_softmax_loss(-logits, targets)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, wrong",
    [
        ("word2vec-ptb", without_masks),
        ("word2vec-hierarchical-softmax", left_for_right),
        ("glove", partial(losses.glove_loss, alpha=1.0)),
    ],
)
def test_another_loss_is_found(name: str, wrong: Callable):
    twin = twin_of(get(name), steps=1)
    (turn,) = twin.flax.turns
    planted = replace(twin, flax=replace(twin.flax, turns=(turn._replace(objective=Supervised(wrong)),)))
    result = check_twin(planted, tiers=("float64",))
    failed = [str(row.key) for row in result.rows["float64"] if not row.passed]
    assert result.status == "fail" and "forward/loss" in failed and "forward/output" not in failed
    assert result.blame and result.blame.layer == "loss"
