"""The proof of recommenders can fail: a pair that is exchanged, others that are not there, a margin, a mask."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from failing import failing

from d2l_jax import losses, models
from d2l_jax.catalog import get
from d2l_jax.metrics import OF_ROWS, Metric, root
from d2l_jax.turns import Measured, Observed, Supervised
from parity.proof.proof import check_twin
from parity.twin.pairing import twin_of


def exchanged(positive, negative, weight):
    return losses.bpr_loss(-positive, -negative, weight)


def without_weights(positive, negative, weight):
    return losses.bpr_loss(positive, negative, jnp.ones_like(weight))


half_the_mean = partial(losses.observed_squared_error, first_edition=True)


def of_probabilities(logits, clicks):
    return losses.click_loss(jax.nn.sigmoid(logits), clicks)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "wrong"), [("autorec", half_the_mean), ("fm", of_probabilities)])
def test_another_loss_of_ratings_and_clicks_is_found(name: str, wrong: Callable):
    twin = twin_of(get(name), steps=1)
    (turn,) = twin.flax.turns
    planted = replace(twin, flax=replace(twin.flax, turns=(turn._replace(objective=Supervised(wrong)),)))
    result = check_twin(planted, tiers=("float64",))
    failed = [str(row.key) for row in result.rows["float64"] if not row.passed]
    assert result.status == "fail" and "forward/loss" in failed and "forward/output" not in failed
    assert result.blame and result.blame.layer == "loss"


def unmasked(outputs, ratings):
    return jnp.sum((outputs - ratings) ** 2)


def unmasked_squares(tensors):
    return unmasked(tensors["output"], tensors["targets"]), jnp.asarray(tensors["targets"].size)


def always_masked(model, input):
    return model.decoder(model.dropout(jax.nn.sigmoid(model.encoder(input)))) * jnp.sign(input)


def test_an_evaluation_that_forgets_the_mask_is_found():
    """Training is right: neither the outputs nor the training loss tell of it."""
    twin = twin_of(get("autorec"), steps=1)
    forgetful = Measured(Observed(unmasked), OF_ROWS | {"rmse": Metric(unmasked_squares, root)})
    planted = replace(twin, flax=replace(twin.flax, observe=forgetful))
    found = {"loss", "sum of loss", "sum of rmse", "count of rmse"}
    assert set(failing(planted)) == {f"evaluation/{name}" for name in found}


def test_a_model_that_hides_what_is_not_rated_in_evaluation_too_is_found(monkeypatch):
    monkeypatch.setattr(models.AutoRec, "__call__", always_masked)
    found = failing(twin_of(get("autorec"), steps=1))
    assert "evaluation/output" in found and "forward/output" not in found


@pytest.mark.slow
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
    failed = failing(planted)
    assert "forward/loss" in failed
    assert not {"forward/output", "forward/others"} & set(failed)
